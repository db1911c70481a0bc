// The samples of a split in the backend's memory, and what makes views of them: images through augment,
// feature vectors through feature_views.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "dpll/backend.h"
#include "dpll/data.h"
#include "dpll/model/network.h"
#include "dpll/views.h"

namespace dpll {

// Writes the views of a batch as the input of a program.
class ViewMaker {
 public:
  virtual ~ViewMaker() = default;
  // images: Program::images().
  virtual void run(const Tensor& images, const BatchRows& rows) = 0;
};

class SampleStore {
 public:
  // Copies the samples; `what` names them where memory runs out.
  SampleStore(Backend& backend, const ImageSet& samples, const std::string& what);

  // The recipes of `setup`, for the input of `program`; the maker reads the store's memory.
  std::unique_ptr<ViewMaker> make_views(const ViewSetup& setup, const Program& program) const;
  // One view, the samples as they are but for normalisation.
  std::unique_ptr<ViewMaker> make_plain(const ViewSetup& setup, const Program& program) const;

 private:
  Backend& backend_;
  Buffer buffer_;
  Tensor table_;  // u8 [N, H, W, C] or f32 [N, D]
};

}  // namespace dpll
