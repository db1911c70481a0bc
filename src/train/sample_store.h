// The samples of a split in the backend's memory, and the operations that make their views: augment for
// images, feature_views for feature vectors.
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
  // images: Program::images(). beside: in the backend's second queue, where it has one.
  virtual void run(const Tensor& images, const BatchRows& rows, bool beside = false) = 0;
};

class SampleStore {
 public:
  // Copies the samples; `what` is their name in the error if there is not enough memory.
  SampleStore(Backend& backend, const ImageSet& samples, const std::string& what);

  // Makes views by the recipes of `setup` for the input of `program`; the result reads the store's memory.
  std::unique_ptr<ViewMaker> make_views(const ViewSetup& setup, const Program& program) const;
  // Makes one view: the samples, only normalised.
  std::unique_ptr<ViewMaker> make_plain(const ViewSetup& setup, const Program& program) const;

 private:
  Backend& backend_;
  Buffer buffer_;
  Tensor table_;  // u8 [N, H, W, C] or f32 [N, D]
};

}  // namespace dpll
