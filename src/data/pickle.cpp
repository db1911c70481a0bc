#include "data/pickle.h"

#include <array>
#include <map>
#include <optional>

#include "dpll/core/check.h"
#include "io/text.h"

namespace dpll {
namespace {

// CIFAR-100's training file has about 150,000.
constexpr std::size_t kMostObjects = std::size_t{1} << 22;

}  // namespace

// The stack machine that a pickle is written for, reduced to data.
class PickleMachine {
 public:
  PickleMachine(Pickle& pickle, ByteView bytes, const std::string& path)
      : pickle_(pickle), bytes_(bytes), path_(path) {}

  void run() {
    if (byte() != 0x80 || byte() != 2) refuse("not a pickle of protocol 2");
    while (true) {
      opcode_at_ = at_;
      const std::uint8_t opcode = byte();
      if (opcode == '.') break;
      step(opcode);
    }
    if (at_ != bytes_.size()) refuse(fmt::format("{} bytes after the end", bytes_.size() - at_));
    if (stack_.size() != 1) refuse(fmt::format("{} objects at the end", stack_.size()));
    pickle_.root_ = pop();
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    fail(ExitCode::data, "{}: {} (at byte {})", path_, what, opcode_at_);
  }

  std::uint8_t byte() {
    if (at_ == bytes_.size()) refuse("truncated pickle");
    return bytes_[at_++];
  }

  std::uint32_t little_endian(int count) {
    std::uint32_t value = 0;
    for (int i = 0; i < count; ++i) value |= std::uint32_t{byte()} << (8 * i);
    return value;
  }

  std::string_view text(std::size_t length) {
    if (length > bytes_.size() - at_) refuse(fmt::format("truncated pickle: a string of {} bytes", length));
    const auto* begin = reinterpret_cast<const char*>(bytes_.data() + at_);
    at_ += length;
    return {begin, length};
  }

  std::string_view line() {
    const std::size_t begin = at_;
    while (byte() != '\n') {
    }
    return {reinterpret_cast<const char*>(bytes_.data() + begin), at_ - begin - 1};
  }

  void push(PickleValue::Value value) {
    if (pickle_.values_.size() == kMostObjects) refuse(fmt::format("more than {} objects", kMostObjects));
    stack_.push_back(&pickle_.values_.emplace_back(std::move(value)));
  }

  PickleValue* pop() {
    const std::size_t floor = marks_.empty() ? 0 : marks_.back();
    if (stack_.size() <= floor) refuse("malformed pickle: nothing on the stack");
    PickleValue* top = stack_.back();
    stack_.pop_back();
    return top;
  }

  PickleValue& top() {
    PickleValue* value = pop();
    stack_.push_back(value);
    return *value;
  }

  // The objects above the last mark, which goes too.
  std::vector<const PickleValue*> pop_to_mark() {
    if (marks_.empty()) refuse("malformed pickle: no mark");
    const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<const PickleValue*> items(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    marks_.pop_back();
    return items;
  }

  void tuple(int count) {
    PickleList list;
    list.is_tuple = true;
    list.items.resize(static_cast<std::size_t>(count));
    for (auto item = list.items.rbegin(); item != list.items.rend(); ++item) *item = pop();
    push(std::move(list));
  }

  void append(const std::vector<const PickleValue*>& items) {
    auto* list = std::get_if<PickleList>(&top().value);
    if (list == nullptr || list->is_tuple) refuse("malformed pickle: appends to what is no list");
    list->items.insert(list->items.end(), items.begin(), items.end());
  }

  void set(const std::vector<const PickleValue*>& items) {
    auto* dict = std::get_if<PickleDict>(&top().value);
    if (dict == nullptr || items.size() % 2 != 0) {
      refuse("malformed pickle: sets an item of what is no dict");
    }
    for (std::size_t i = 0; i < items.size(); i += 2) dict->items.emplace_back(items[i], items[i + 1]);
  }

  void remember(std::uint32_t index) { memo_[index] = &top(); }

  void recall(std::uint32_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) refuse(fmt::format("malformed pickle: memo {} was never written", index));
    stack_.push_back(found->second);
    if (stack_.size() > kMostObjects) refuse(fmt::format("more than {} objects", kMostObjects));
  }

  void global() {
    const std::string_view module = line(), name = line();
    // NumPy 2 calls the module numpy._core.
    const bool core = module == "numpy.core.multiarray" || module == "numpy._core.multiarray";
    if (core && name == "_reconstruct") return push(PickleGlobal::reconstruct);
    if (module == "numpy" && name == "ndarray") return push(PickleGlobal::ndarray);
    if (module == "numpy" && name == "dtype") return push(PickleGlobal::dtype);
    refuse(fmt::format("the pickle asks for {}.{}, which is not plain data: refused", printable(module),
                       printable(name)));
  }

  // callable(*arguments), for the two that are known.
  void reduce() {
    const auto* arguments = std::get_if<PickleList>(&pop()->value);
    const auto* callable = std::get_if<PickleGlobal>(&pop()->value);
    if (callable == nullptr || arguments == nullptr || !arguments->is_tuple || arguments->items.empty()) {
      refuse("malformed pickle: a call of what is no constructor");
    }
    const PickleValue::Value& first = arguments->items.front()->value;
    if (*callable == PickleGlobal::dtype) {
      const auto* name = std::get_if<std::string_view>(&first);
      if (name == nullptr) refuse("malformed pickle: a dtype without a name");
      return push(PickleDtype{*name});
    }
    const auto* type = std::get_if<PickleGlobal>(&first);
    if (*callable != PickleGlobal::reconstruct || type == nullptr || *type != PickleGlobal::ndarray) {
      refuse("malformed pickle: a call that makes no array");
    }
    push(PickleArray{});
  }

  // Gives an array its state (version, shape, dtype, Fortran order, bytes). A dtype's own state tells the
  // byte order, which single bytes do not have.
  void build() {
    const PickleValue* state = pop();
    PickleValue& object = top();
    if (std::holds_alternative<PickleDtype>(object.value)) return;
    auto* array = std::get_if<PickleArray>(&object.value);
    const auto* parts = std::get_if<PickleList>(&state->value);
    if (array == nullptr || parts == nullptr || parts->items.size() != 5) {
      refuse("malformed pickle: no state of an array");
    }
    const auto* shape = std::get_if<PickleList>(&parts->items[1]->value);
    const auto* dtype = std::get_if<PickleDtype>(&parts->items[2]->value);
    const auto* fortran = std::get_if<bool>(&parts->items[3]->value);
    const auto* bytes = std::get_if<std::string_view>(&parts->items[4]->value);
    if (shape == nullptr || dtype == nullptr || fortran == nullptr || bytes == nullptr) {
      refuse("malformed pickle: no state of an array");
    }
    if (dtype->name != "u1" || *fortran) refuse("an array that is not uint8 in C order");
    std::size_t elements = 1;
    array->shape.clear();
    for (const PickleValue* item : shape->items) {
      const auto* side = std::get_if<std::int64_t>(&item->value);
      if (side == nullptr || *side < 0 || static_cast<std::size_t>(*side) > bytes->size()) {
        refuse("an array whose shape does not fit its bytes");
      }
      array->shape.push_back(*side);
      // Both factors are at most bytes->size() < 2^32, so the product cannot overflow.
      elements *= static_cast<std::size_t>(*side);
      if (elements > bytes->size()) refuse("an array whose shape does not fit its bytes");
    }
    if (elements != bytes->size()) refuse("an array whose shape does not fit its bytes");
    array->bytes = *bytes;
    array->complete = true;
  }

  void step(std::uint8_t opcode) {
    switch (opcode) {
      case '(':
        return marks_.push_back(stack_.size());
      case '}':
        return push(PickleDict{});
      case ']':
        return push(PickleList{});
      case ')':
        return tuple(0);
      case 0x85:
      case 0x86:
      case 0x87:
        return tuple(opcode - 0x84);
      case 't': {
        PickleList list{pop_to_mark(), true};
        return push(std::move(list));
      }
      case 'N':
        return push(std::monostate{});
      case 0x88:
      case 0x89:
        return push(opcode == 0x88);
      case 'K':
        return push(static_cast<std::int64_t>(byte()));
      case 'M':
        return push(static_cast<std::int64_t>(little_endian(2)));
      case 'J':
        return push(static_cast<std::int64_t>(static_cast<std::int32_t>(little_endian(4))));
      case 'U':
        return push(text(byte()));
      case 'T':
      case 'X':
        return push(text(little_endian(4)));
      case 'q':
        return remember(byte());
      case 'r':
        return remember(little_endian(4));
      case 'h':
        return recall(byte());
      case 'j':
        return recall(little_endian(4));
      case 'a': {
        const PickleValue* item = pop();
        return append({item});
      }
      case 'e':
        return append(pop_to_mark());
      case 's': {
        const PickleValue* value = pop();
        const PickleValue* key = pop();
        return set({key, value});
      }
      case 'u':
        return set(pop_to_mark());
      case 'c':
        return global();
      case 'R':
        return reduce();
      case 'b':
        return build();
      default:
        refuse(fmt::format("pickle opcode 0x{:02x} is not one of plain data", opcode));
    }
  }

  Pickle& pickle_;
  ByteView bytes_;
  const std::string& path_;
  std::size_t at_ = 0, opcode_at_ = 0;
  std::vector<PickleValue*> stack_;
  std::vector<std::size_t> marks_;
  std::map<std::uint32_t, PickleValue*> memo_;
};

Pickle::Pickle(ByteView bytes, const std::string& path) {
  PickleMachine(*this, bytes, path).run();
}

}  // namespace dpll
