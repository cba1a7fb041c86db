#include "distill/checkpoint/pickle_reader.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

using Kind = PickleValue::Kind;

bool IsDictClass(const std::string& name) {
  return name == "collections.OrderedDict" || name == "collections.defaultdict";
}

absl::Status Broken(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("not a valid pickle: ", what));
}

class Machine {
 public:
  explicit Machine(absl::string_view bytes) : bytes_(bytes) {
    values().emplace_back();  // the only None
    for (const bool truth : {false, true}) {
      values().push_back({.kind = Kind::kBool, .integer = truth});
    }
  }

  absl::StatusOr<PickleGraph> Run() {
    while (graph_.root == kNoPickleValue) {
      if (position_ >= bytes_.size()) return Broken("truncated");
      REFLUX_RETURN_IF_ERROR(Step());
      if (values().size() > kMaxPickleValues) {
        return absl::ResourceExhaustedError(
            absl::StrCat("the pickle has more than ", kMaxPickleValues, " values"));
      }
    }
    graph_.bytes = position_;
    return std::move(graph_);
  }

 private:
  using Instruction = absl::Status (Machine::*)();
  static const std::array<Instruction, 256>& Instructions();

  absl::Status Step() {
    const size_t at = position_;
    const auto code = static_cast<uint8_t>(bytes_[position_++]);
    const Instruction instruction = Instructions()[code];
    if (instruction == nullptr) {
      return absl::UnimplementedError(
          absl::StrFormat("the pickle has instruction 0x%02x at byte %d, which state dicts do not "
                          "need and this reader refuses",
                          code, at));
    }
    return (this->*instruction)();
  }

  std::vector<PickleValue>& values() { return graph_.values; }

  // Reading the program.
  absl::StatusOr<absl::string_view> Take(uint64_t count) {
    if (count > bytes_.size() - position_) return Broken("truncated");
    const absl::string_view taken = bytes_.substr(position_, count);
    position_ += count;
    return taken;
  }
  template <typename T>
  absl::StatusOr<T> TakeNumber() {
    REFLUX_ASSIGN_OR_RETURN(const absl::string_view raw, Take(sizeof(T)));
    T value;
    std::memcpy(&value, raw.data(), sizeof(T));
    return value;
  }
  absl::StatusOr<absl::string_view> TakeLine() {
    const size_t end = bytes_.find('\n', position_);
    if (end == absl::string_view::npos) return Broken("a line does not end");
    const absl::string_view line = bytes_.substr(position_, end - position_);
    position_ = end + 1;
    return line;
  }

  // The stack.
  absl::Status PushId(PickleId id) {
    stack_.push_back(id);
    return absl::OkStatus();
  }
  absl::Status Push(PickleValue value) {
    values().push_back(std::move(value));
    return PushId(static_cast<PickleId>(values().size() - 1));
  }
  // Values above the newest mark; those below it are out of reach.
  size_t Reachable() const { return stack_.size() - (marks_.empty() ? 0 : marks_.back()); }
  absl::StatusOr<PickleId> Pop() {
    if (Reachable() == 0) return Broken("its stack is empty");
    const PickleId id = stack_.back();
    stack_.pop_back();
    return id;
  }
  absl::StatusOr<PickleId> Top() {
    if (Reachable() == 0) return Broken("its stack is empty");
    return stack_.back();
  }
  absl::StatusOr<std::vector<PickleId>> PopMark() {
    if (marks_.empty()) return Broken("a mark is missing");
    std::vector<PickleId> items(stack_.begin() + static_cast<int64_t>(marks_.back()), stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return items;
  }

  // Instructions, named as in pickletools.
  absl::Status Proto() {
    REFLUX_ASSIGN_OR_RETURN(const uint8_t version, TakeNumber<uint8_t>());
    return version <= 5 ? absl::OkStatus() : Broken(absl::StrCat("protocol ", version));
  }
  absl::Status Frame() { return TakeNumber<uint64_t>().status(); }
  absl::Status Stop() {
    REFLUX_ASSIGN_OR_RETURN(graph_.root, Pop());
    return absl::OkStatus();
  }
  absl::Status Mark() {
    marks_.push_back(stack_.size());
    return absl::OkStatus();
  }
  absl::Status PopOne() {
    if (Reachable() == 0 && !marks_.empty()) return PopMark().status();
    return Pop().status();
  }
  absl::Status PopToMark() { return PopMark().status(); }
  absl::Status Dup() {
    REFLUX_ASSIGN_OR_RETURN(const PickleId top, Top());
    return Repeat(top);
  }
  // A text that is used again costs those who read the graph as much as one that stands there
  // again.
  absl::Status ChargeText(PickleId id) {
    repeated_ += values()[id].text.size();
    return repeated_ <= kMaxPickleBytes ? absl::OkStatus()
                                        : Broken("long texts used again and again");
  }
  absl::Status Repeat(PickleId id) {
    REFLUX_RETURN_IF_ERROR(ChargeText(id));
    return PushId(id);
  }

  absl::Status None() { return PushId(0); }
  absl::Status False() { return PushId(1); }
  absl::Status True() { return PushId(2); }
  template <typename T>
  absl::Status Integer() {
    REFLUX_ASSIGN_OR_RETURN(const T number, TakeNumber<T>());
    return Push({.kind = Kind::kInteger, .integer = static_cast<int64_t>(number)});
  }
  template <typename Length>
  absl::Status Long() {
    REFLUX_ASSIGN_OR_RETURN(const Length length, TakeNumber<Length>());
    REFLUX_ASSIGN_OR_RETURN(const absl::string_view raw, Take(length));
    if (raw.size() > sizeof(int64_t)) {
      return Push({.kind = Kind::kLong, .text = std::string(raw)});
    }
    // The sign is that of the last byte.
    int64_t value = !raw.empty() && static_cast<int8_t>(raw.back()) < 0 ? -1 : 0;
    std::memcpy(&value, raw.data(), raw.size());
    return Push({.kind = Kind::kInteger, .integer = value});
  }
  absl::Status Float() {
    REFLUX_ASSIGN_OR_RETURN(const uint64_t big_endian, TakeNumber<uint64_t>());
    const uint64_t raw = __builtin_bswap64(big_endian);
    double real;
    std::memcpy(&real, &raw, sizeof(real));
    return Push({.kind = Kind::kFloat, .real = real});
  }
  template <typename Length, Kind kKind>
  absl::Status Text() {
    REFLUX_ASSIGN_OR_RETURN(const Length length, TakeNumber<Length>());
    REFLUX_ASSIGN_OR_RETURN(const absl::string_view text, Take(length));
    return Push({.kind = kKind, .text = std::string(text)});
  }

  template <Kind kKind>
  absl::Status Empty() {
    return Push({.kind = kKind});
  }
  absl::Status Tuple() {
    REFLUX_ASSIGN_OR_RETURN(std::vector<PickleId> items, PopMark());
    return Push({.kind = Kind::kTuple, .items = std::move(items)});
  }
  template <size_t kSize>
  absl::Status SmallTuple() {
    if (Reachable() < kSize) return Broken("its stack is empty");
    std::vector<PickleId> items(stack_.end() - kSize, stack_.end());
    stack_.resize(stack_.size() - kSize);
    return Push({.kind = Kind::kTuple, .items = std::move(items)});
  }
  absl::Status FrozenSet() {
    REFLUX_ASSIGN_OR_RETURN(std::vector<PickleId> items, PopMark());
    return Push({.kind = Kind::kList, .items = std::move(items)});
  }

  // Adds to the container on top. A class that is not read may be a kind of list or dict.
  absl::Status Extend(const std::vector<PickleId>& items, bool pairs) {
    REFLUX_ASSIGN_OR_RETURN(const PickleId top, Top());
    PickleValue& container = values()[top];
    const bool fits =
        container.kind == Kind::kObject || container.kind == (pairs ? Kind::kDict : Kind::kList);
    if (!fits || (pairs && items.size() % 2 != 0)) return Broken("items without a container");
    container.items.insert(container.items.end(), items.begin(), items.end());
    return absl::OkStatus();
  }
  absl::Status Append() {
    REFLUX_ASSIGN_OR_RETURN(const PickleId item, Pop());
    return Extend({item}, /*pairs=*/false);
  }
  absl::Status Appends() {
    REFLUX_ASSIGN_OR_RETURN(const std::vector<PickleId> items, PopMark());
    return Extend(items, /*pairs=*/false);
  }
  absl::Status SetItem() {
    REFLUX_ASSIGN_OR_RETURN(const PickleId value, Pop());
    REFLUX_ASSIGN_OR_RETURN(const PickleId key, Pop());
    return Extend({key, value}, /*pairs=*/true);
  }
  absl::Status SetItems() {
    REFLUX_ASSIGN_OR_RETURN(const std::vector<PickleId> items, PopMark());
    return Extend(items, /*pairs=*/true);
  }

  absl::Status Remember(uint64_t slot) {
    if (memo_.size() >= kMaxPickleValues) return Broken("it remembers more than it may hold");
    REFLUX_ASSIGN_OR_RETURN(memo_[slot], Top());
    return absl::OkStatus();
  }
  template <typename Slot>
  absl::Status Put() {
    REFLUX_ASSIGN_OR_RETURN(const Slot slot, TakeNumber<Slot>());
    return Remember(slot);
  }
  absl::Status Memoize() { return Remember(memo_.size()); }
  template <typename Slot>
  absl::Status Get() {
    REFLUX_ASSIGN_OR_RETURN(const Slot slot, TakeNumber<Slot>());
    const auto found = memo_.find(slot);
    if (found == memo_.end()) return Broken("it refers to a value that it does not have");
    return Repeat(found->second);
  }

  absl::Status Global() {
    REFLUX_ASSIGN_OR_RETURN(const absl::string_view module, TakeLine());
    REFLUX_ASSIGN_OR_RETURN(const absl::string_view name, TakeLine());
    return Push({.kind = Kind::kClass, .text = absl::StrCat(module, ".", name)});
  }
  absl::Status StackGlobal() {
    REFLUX_ASSIGN_OR_RETURN(const PickleId name, Pop());
    REFLUX_ASSIGN_OR_RETURN(const PickleId module, Pop());
    if (values()[name].kind != Kind::kString || values()[module].kind != Kind::kString) {
      return Broken("a class without a name");
    }
    // Named by two strings that may be remembered and used again without bytes of their own.
    if (values()[name].text.size() + values()[module].text.size() > kMaxClassName) {
      return Broken("a class with a name of hundreds of letters");
    }
    return Push({.kind = Kind::kClass,
                 .text = absl::StrCat(values()[module].text, ".", values()[name].text)});
  }
  // OrderedDict([(key, value), ...]), as Python 2 wrote it.
  absl::Status AddPairs(PickleId arguments, PickleValue& dict) {
    const PickleValue& tuple = values()[arguments];
    if (tuple.items.empty() || values()[tuple.items[0]].kind != Kind::kList) {
      return absl::OkStatus();
    }
    for (const PickleId pair : values()[tuple.items[0]].items) {
      if (values()[pair].items.size() != 2) return Broken("a dict of something other than pairs");
      if (++pairs_ > kMaxPickleValues) return Broken("a list of pairs used again and again");
      for (const PickleId id : values()[pair].items) {
        REFLUX_RETURN_IF_ERROR(ChargeText(id));
        dict.items.push_back(id);
      }
    }
    return absl::OkStatus();
  }
  absl::Status Construct(PickleId callable, PickleId arguments) {
    const PickleValue& named = values()[callable];
    const Kind kind = values()[arguments].kind;
    if (kind != Kind::kTuple) return Broken("a call without arguments");
    // A call of something that is itself the result of a call is never made either.
    PickleValue made{.kind = Kind::kObject, .arguments = arguments};
    if (named.kind == Kind::kClass && named.text.size() <= kMaxClassName) made.text = named.text;
    if (IsDictClass(made.text)) {
      made.kind = Kind::kDict;
      REFLUX_RETURN_IF_ERROR(AddPairs(arguments, made));
    }
    return Push(std::move(made));
  }
  absl::Status Reduce() {
    REFLUX_ASSIGN_OR_RETURN(const PickleId arguments, Pop());
    REFLUX_ASSIGN_OR_RETURN(const PickleId callable, Pop());
    return Construct(callable, arguments);
  }
  absl::Status NewObjectEx() {
    REFLUX_RETURN_IF_ERROR(Pop().status());  // keyword arguments
    return Reduce();
  }
  absl::Status Build() {
    REFLUX_ASSIGN_OR_RETURN(const PickleId state, Pop());
    REFLUX_ASSIGN_OR_RETURN(const PickleId top, Top());
    values()[top].state = state;
    return absl::OkStatus();
  }
  absl::Status Persistent() {
    REFLUX_ASSIGN_OR_RETURN(const PickleId id, Pop());
    return Push({.kind = Kind::kPersistent, .arguments = id});
  }

  static constexpr size_t kMaxClassName = 256;

  const absl::string_view bytes_;
  size_t position_ = 0;
  PickleGraph graph_;
  std::vector<PickleId> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint64_t, PickleId> memo_;
  size_t pairs_ = 0;     // copied by AddPairs: the one thing that could grow beyond the bytes read
  size_t repeated_ = 0;  // letters of texts that were used again
};

const std::array<Machine::Instruction, 256>& Machine::Instructions() {
  static const auto* const table = [] {
    auto* const t = new std::array<Instruction, 256>{};
    const auto set = [t](uint8_t code, Instruction instruction) { (*t)[code] = instruction; };
    set(0x80, &Machine::Proto);
    set(0x95, &Machine::Frame);
    set('.', &Machine::Stop);
    set('(', &Machine::Mark);
    set('0', &Machine::PopOne);
    set('1', &Machine::PopToMark);
    set('2', &Machine::Dup);
    set('N', &Machine::None);
    set(0x88, &Machine::True);
    set(0x89, &Machine::False);
    set('J', &Machine::Integer<int32_t>);
    set('K', &Machine::Integer<uint8_t>);
    set('M', &Machine::Integer<uint16_t>);
    set(0x8a, &Machine::Long<uint8_t>);
    set(0x8b, &Machine::Long<uint32_t>);
    set('G', &Machine::Float);
    set('X', &Machine::Text<uint32_t, Kind::kString>);
    set(0x8c, &Machine::Text<uint8_t, Kind::kString>);
    set(0x8d, &Machine::Text<uint64_t, Kind::kString>);
    set('T', &Machine::Text<uint32_t, Kind::kString>);  // Python 2's str
    set('U', &Machine::Text<uint8_t, Kind::kString>);
    set('B', &Machine::Text<uint32_t, Kind::kBytes>);
    set('C', &Machine::Text<uint8_t, Kind::kBytes>);
    set(0x8e, &Machine::Text<uint64_t, Kind::kBytes>);
    set(')', &Machine::Empty<Kind::kTuple>);
    set(']', &Machine::Empty<Kind::kList>);
    set('}', &Machine::Empty<Kind::kDict>);
    set(0x8f, &Machine::Empty<Kind::kList>);  // set
    set('t', &Machine::Tuple);
    set(0x85, &Machine::SmallTuple<1>);
    set(0x86, &Machine::SmallTuple<2>);
    set(0x87, &Machine::SmallTuple<3>);
    set(0x91, &Machine::FrozenSet);
    set('a', &Machine::Append);
    set('e', &Machine::Appends);
    set(0x90, &Machine::Appends);  // to a set
    set('s', &Machine::SetItem);
    set('u', &Machine::SetItems);
    set('q', &Machine::Put<uint8_t>);
    set('r', &Machine::Put<uint32_t>);
    set(0x94, &Machine::Memoize);
    set('h', &Machine::Get<uint8_t>);
    set('j', &Machine::Get<uint32_t>);
    set('c', &Machine::Global);
    set(0x93, &Machine::StackGlobal);
    set('R', &Machine::Reduce);
    set(0x81, &Machine::Reduce);  // NEWOBJ: the same operands
    set(0x92, &Machine::NewObjectEx);
    set('b', &Machine::Build);
    set('Q', &Machine::Persistent);
    return t;
  }();
  return *table;
}

}  // namespace

PickleId PickleGraph::Find(PickleId dict, absl::string_view key) const {
  PickleId found = kNoPickleValue;
  const PickleValue& entries = values[dict];
  if (entries.kind != Kind::kDict) return found;
  for (size_t i = 0; i + 1 < entries.items.size(); i += 2) {
    const PickleValue& name = values[entries.items[i]];
    if (name.kind == Kind::kString && absl::string_view(name.text) == key) {
      found = entries.items[i + 1];
    }
  }
  return found;
}

absl::StatusOr<PickleGraph> ReadPickle(absl::string_view bytes) { return Machine(bytes).Run(); }

}  // namespace reflux
