// The comparers that the other tests trust: they accept what is equal and reject what is not.
#include "support/compare.h"

#include <cmath>
#include <limits>

#include "support/doctest.h"
#include "support/random.h"

using namespace dpll;
using namespace dpll::test;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();
const Shape kShape = {2, 3, 5, 7};

HostTensor wanted() {
  return Random(1).normal_tensor(kShape);
}

bool agree(const HostTensor& got, const HostTensor& want, const Tolerance& tolerance = {1e-6, 0}) {
  return difference("t", 1, got, want, tolerance).empty();
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("the comparer accepts equal tensors and deviations inside the tolerance") {
  const HostTensor want = wanted();
  CHECK(agree(want, want, {}));
  HostTensor got = want;
  got[17] += 1e-8;
  CHECK(agree(got, want));
  CHECK(agree(got, want, {0, 2e-8}));
  CHECK(agree(HostTensor(Shape{0, 3}), HostTensor(Shape{0, 3})));
  CHECK(agree(HostTensor(Shape{3}, -0.0), HostTensor(Shape{3}, 0.0), {}));
}

TEST_CASE("the comparer rejects a single perturbed element wherever it is") {
  const HostTensor want = wanted();
  for (const std::int64_t i : {std::int64_t{0}, want.elements() / 2, want.elements() - 1}) {
    for (const double by : {1e-5, -1e-5, 1.0, 1e30}) {
      HostTensor got = want;
      got[i] += by;
      CHECK_FALSE(agree(got, want));
    }
  }
  HostTensor got = want;
  got[3] = std::nextafter(got[3], 10);
  CHECK_FALSE(agree(got, want, {}));
}

TEST_CASE("the comparer rejects NaN and infinity however wide the tolerance") {
  const HostTensor want = wanted();
  const Tolerance anything = {1e300, 1e300};
  for (const double value : {kNan, kInf, -kInf}) {
    HostTensor broken = want;
    broken[100] = value;
    CHECK_FALSE(agree(broken, want, anything));
    CHECK_FALSE(agree(want, broken, anything));
    CHECK(agree(broken, broken, {}));
    // A non-finite element does not loosen the scale for the others.
    HostTensor also_off = broken;
    also_off[5] += 1;
    CHECK_FALSE(agree(also_off, broken));
  }
  HostTensor plus = want, minus = want, nan = want;
  plus[0] = kInf;
  minus[0] = -kInf;
  nan[0] = kNan;
  CHECK_FALSE(agree(plus, minus, anything));
  CHECK_FALSE(agree(plus, nan, anything));
  CHECK_FALSE(agree(HostTensor(kShape, kNan), want, anything));
}

TEST_CASE("the comparer rejects tensors shifted by one element and permuted ones") {
  const HostTensor want = wanted();
  HostTensor shifted = want;
  for (std::int64_t i = 1; i < want.elements(); ++i) shifted[i] = want[i - 1];
  CHECK_FALSE(agree(shifted, want, {1e-2, 0}));
  HostTensor swapped = want;
  std::swap(swapped[8], swapped[9]);
  CHECK_FALSE(agree(swapped, want, {1e-2, 0}));
}

TEST_CASE("the comparer rejects wrong shapes even where the values agree") {
  const HostTensor want = wanted();
  HostTensor got = want;
  got.shape = {3, 2, 5, 7};
  CHECK_FALSE(agree(got, want, {1e300, 1e300}));
  got.shape = {2, 3, 35};
  CHECK_FALSE(agree(got, want, {1e300, 1e300}));
  got = want;
  got.values.pop_back();
  CHECK_FALSE(agree(got, want, {1e300, 1e300}));
  got.values.push_back(0);
  got.values.push_back(0);
  CHECK_FALSE(agree(got, want, {1e300, 1e300}));
}

TEST_CASE("a failed comparison names tensor, shape, seed, the first bad place and the worst") {
  HostTensor want(kShape, 1.0);
  HostTensor got = want;
  got[8] = 1.5;                 // [0,0,1,1]
  got[got.elements() - 1] = 4;  // [1,2,4,6]
  const Deviation off = compare("d_x of case_7", 42, got, want, {1e-3, 0});
  CHECK(off.worst == 3);
  CHECK(off.allowed == 1e-3);
  for (const char* part : {"d_x of case_7", "[2,3,5,7]", "seed 42", "at [0,0,1,1] got 1.5, want 1",
                           "2 of 210 values", "worst at [1,2,4,6]: got 4, want 1, off by 3"}) {
    CHECK_MESSAGE(contains(off.message, part), off.message);
  }
  got.shape = {210};
  CHECK(contains(difference("y", 1, got, want, {}), "got shape [210]"));
}

TEST_CASE("random test tensors are float32 values, repeatable, and have the moments asked for") {
  const Shape shape = {100, 100};
  const HostTensor a = Random(3, 1).normal_tensor(shape, 2, 0.5);
  CHECK(difference("a", 3, Random(3, 1).normal_tensor(shape, 2, 0.5), a, {}).empty());
  CHECK_FALSE(difference("a", 3, Random(3, 2).normal_tensor(shape, 2, 0.5), a, {1e-2, 0}).empty());
  CHECK_FALSE(difference("a", 3, Random(4, 1).normal_tensor(shape, 2, 0.5), a, {1e-2, 0}).empty());
  double sum = 0, squares = 0;
  for (const double value : a.values) {
    CHECK(value == as_float(value));
    sum += value;
    squares += (value - 2) * (value - 2);
  }
  CHECK(sum / 1e4 == doctest::Approx(2).epsilon(0.02));
  CHECK(std::sqrt(squares / 1e4) == doctest::Approx(0.5).epsilon(0.05));
  for (const double value : Random(5).uniform_tensor(shape, -1, 3).values) CHECK((value >= -1 && value <= 3));
}
