#include "bench/observed_call.h"

#include <type_traits>
#include <utility>

namespace dpll::bench {
namespace {

struct CopyFields {
  CallMemory& memory;

  void operator()(const char* /*name*/, Tensor& tensor, Access /*access*/) {
    if (tensor.defined()) tensor.data = memory.copy_of(tensor.data, tensor.bytes());
  }
  template <typename Struct>
  void operator()(const char* /*name*/, Struct*& in_backend_memory, Access /*access*/) {
    in_backend_memory = static_cast<Struct*>(memory.copy_of(in_backend_memory, sizeof(Struct)));
  }
};

struct SizeOfFields {
  std::size_t bytes = 0;

  void operator()(const char* /*name*/, const Tensor& tensor, Access /*access*/) {
    if (tensor.defined()) bytes += tensor.bytes();
  }
  template <typename Struct>
  void operator()(const char* /*name*/, Struct* /*in_backend_memory*/, Access /*access*/) {
    bytes += sizeof(Struct);
  }
};

template <typename Call>
concept Saves = requires(Call call) {
  call.saved;
};

template <typename Spec, typename Call>
Work work_of_call(const Spec& spec, const Call& call) {
  if constexpr (std::is_same_v<Spec, NoSpec>) {
    return work_of(call);
  } else {
    return work_of(spec, call);
  }
}

template <typename Spec, typename Call>
void show(const std::function<void(const ObservedCall&)>& observer,
          const OperationCall<Spec, Call>& observed) {
  const Call& call = observed.call;
  Call fields = call;
  SizeOfFields size;
  visit_fields(fields, size);
  const std::size_t saved_bytes = observed.saved_bytes;
  observer({.op = observed.op,
            .pass = observed.pass,
            .work = work_of_call(observed.spec, call),
            .bytes = size.bytes + saved_bytes,
            .copy = [&call, saved_bytes, run = observed.run](CallMemory& memory) -> std::function<void()> {
              Call copy = call;
              visit_fields(copy, CopyFields{memory});
              // 0, and not looked at, for calls that save nothing.
              [[maybe_unused]] const std::size_t saved = saved_bytes;
              if constexpr (Saves<Call>) {
                if (saved > 0) copy.saved = memory.copy_of(copy.saved, saved);
              }
              return [copy, run] { run(copy); };
            }});
}

}  // namespace

void* CallMemory::copy_of(const void* data, std::size_t bytes) {
  const auto found = copies_.find(data);
  if (found != copies_.end()) {
    DPLL_CHECK(found->second.bytes() == bytes, "a block of {} bytes was copied as {}", bytes,
               found->second.bytes());
    return found->second.data();
  }
  Buffer copy = backend_.allocate(bytes, "a copy of a call's tensors");
  const Shape shape{static_cast<std::int64_t>(bytes)};
  backend_.copy(copy.tensor(DType::u8, shape), {const_cast<void*>(data), DType::u8, shape});
  return copies_.emplace(data, std::move(copy)).first->second.data();
}

CallObserver shown_to(std::function<void(const ObservedCall&)> observer) {
  return [observer = std::move(observer)](const AnyCall& any) {
    std::visit(
        [&](const auto& observed) {
          observed.run(observed.call);
          show(observer, observed);
        },
        any);
  };
}

}  // namespace dpll::bench
