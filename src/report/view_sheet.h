// A contact sheet of the views of the first epoch.
#pragma once

#include "dpll/backend.h"
#include "dpll/config.h"
#include "dpll/data.h"
#include "dpll/views.h"
#include "report/contact_sheet.h"

namespace dpll {

// One row for each of the first `samples` training images (or all, if there are fewer): the original with its
// class, and each view with the operations of the policy that made it. `views`: resolve_views() of the same
// configuration. `host`: a backend that is host_addressable(). The data must be images.
report::ContactSheet view_sheet(const RunConfig& config, const ViewSetup& views, const DataSet& data,
                                int samples, Backend& host);

}  // namespace dpll
