#include "train/sample_store.h"

namespace dpll {
namespace {

class ImageViews final : public ViewMaker {
 public:
  ImageViews(Backend& backend, const AugmentSpec& spec, const Tensor& pixels)
      : augment_(backend.make_augment(spec)), pixels_(pixels) {}
  void run(const Tensor& images, const BatchRows& rows, bool beside) override {
    augment_->run({.images = images, .pixels = pixels_, .rows = rows, .beside = beside});
  }

 private:
  std::unique_ptr<Augment> augment_;
  Tensor pixels_;
};

class VectorViews final : public ViewMaker {
 public:
  VectorViews(Backend& backend, const FeatureViewsSpec& spec, const Tensor& features)
      : op_(backend.make_feature_views(spec)), features_(features) {}
  void run(const Tensor& images, const BatchRows& rows, bool beside) override {
    op_->run({.views = images, .features = features_, .rows = rows, .beside = beside});
  }

 private:
  std::unique_ptr<FeatureViews> op_;
  Tensor features_;
};

}  // namespace

SampleStore::SampleStore(Backend& backend, const ImageSet& samples, const std::string& what)
    : backend_(backend) {
  const auto upload = [&](DType dtype, const Shape& shape, const void* values) {
    buffer_ = backend.allocate(Tensor{nullptr, dtype, shape}.bytes(), what);
    table_ = buffer_.tensor(dtype, shape);
    backend.copy_in(table_, values);
  };
  if (samples.tabular()) {
    upload(DType::f32, {samples.count, samples.channels}, samples.features.data());
  } else {
    upload(DType::u8, {samples.count, samples.height, samples.width, samples.channels},
           samples.pixels.data());
  }
}

std::unique_ptr<ViewMaker> SampleStore::make_views(const ViewSetup& setup, const Program& program) const {
  const int views = program.spec().views, batch = program.spec().batch;
  if (table_.dtype == DType::f32) {
    return std::make_unique<VectorViews>(backend_,
                                         FeatureViewsSpec{.views = views,
                                                          .batch = batch,
                                                          .features = static_cast<int>(table_.shape[1]),
                                                          .weak = setup.weak_features,
                                                          .strong = setup.strong_features},
                                         table_);
  }
  const auto channels = static_cast<int>(table_.shape[3]);
  return std::make_unique<ImageViews>(
      backend_,
      AugmentSpec{.views = views,
                  .batch = batch,
                  .height = static_cast<int>(table_.shape[1]),
                  .width = static_cast<int>(table_.shape[2]),
                  .channels = channels,
                  .zero_channels = static_cast<int>(program.images().shape[3]) - channels,
                  .weak = setup.weak,
                  .strong = setup.strong,
                  .mean = setup.mean,
                  .std = setup.std},
      table_);
}

std::unique_ptr<ViewMaker> SampleStore::make_plain(const ViewSetup& setup, const Program& program) const {
  ViewSetup plain;
  plain.mean = setup.mean;
  plain.std = setup.std;
  return make_views(plain, program);
}

}  // namespace dpll
