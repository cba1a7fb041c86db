#include "distill/checkpoint/torch_storages.h"

#include <zlib.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

using Kind = PickleValue::Kind;

// What `pickle.dumps(0x1950a86a20f9469cfc6c, 2)` gives, before its STOP.
constexpr absl::string_view kLegacyMagic(
    "\x80\x02\x8a\x0al\xfc\x9c"
    "F\xf9 j\xa8P\x19.",
    15);

bool StartsWithBytes(const ByteSource& source, absl::string_view magic) {
  const auto start = source.ReadString(0, magic.size(), magic.size());
  return start.ok() && absl::string_view(*start) == magic;
}

absl::Status Broken(const ByteSource& source, absl::string_view what) {
  return absl::DataLossError(absl::StrCat(source.name(), ": ", what));
}

absl::Status Named(const ByteSource& source, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(source.name(), ": ", status.message()));
}

absl::StatusOr<StorageRange> CheckedRange(const ByteSource& source, const std::string& key,
                                          StorageRange range, uint64_t bytes, uint64_t wanted) {
  range.elements = bytes / ElementBytes(range.type);
  if (range.begin > source.size() || bytes > source.size() - range.begin) {
    return Broken(source, absl::StrCat("truncated: storage '", key, "' goes beyond its end"));
  }
  if (range.elements >= wanted) return range;
  return Broken(source, absl::StrCat("storage '", key, "' has ", range.elements,
                                     " elements, its tensors need ", wanted));
}

class ZipStorages : public TorchStorages {
 public:
  // `program`: it is the module of a TorchScript file that is wanted, which else is refused.
  ZipStorages(std::shared_ptr<const ByteSource> source, ZipArchive archive, bool program)
      : source_(std::move(source)), archive_(std::move(archive)), program_(program) {}

  absl::Status Open() {
    REFLUX_RETURN_IF_ERROR(FindRoot());
    REFLUX_RETURN_IF_ERROR(CheckByteOrder());
    REFLUX_ASSIGN_OR_RETURN(const std::string pickle, Content("data.pkl", kMaxPickleBytes));
    auto graph = ReadPickle(pickle);
    if (!graph.ok()) return Named(*source_, graph.status());
    graph_ = *std::move(graph);
    return absl::OkStatus();
  }

  const PickleGraph& graph() const override { return graph_; }

  absl::StatusOr<StorageRange> Find(const std::string& key, ElementType type,
                                    uint64_t elements) override {
    const std::string name = absl::StrCat(root_, "data/", key);
    REFLUX_ASSIGN_OR_RETURN(const ZipArchive::Range range, archive_.Locate(name));
    if (checked_.insert(key).second) REFLUX_RETURN_IF_ERROR(CheckSum(name, range));
    return CheckedRange(*source_, key, {.type = type, .begin = range.begin}, range.bytes, elements);
  }

 private:
  absl::Status FindRoot() {
    for (const auto& [name, entry] : archive_.entries()) {
      if (name != "data.pkl" && !absl::EndsWith(name, "/data.pkl")) continue;
      root_ = name.substr(0, name.size() - absl::string_view("data.pkl").size());
      if (program_ || !archive_.Contains(root_ + "constants.pkl")) return absl::OkStatus();
      return absl::UnimplementedError(absl::StrCat(
          source_->name(),
          ": this is a TorchScript module, a program: a teacher's is run with `layout: "
          "torchscript`, by reflux eval and export with --run-torchscript; or save the state dict "
          "of the original network"));
    }
    return absl::InvalidArgumentError(absl::StrCat(
        source_->name(), ": a zip file without data.pkl, so not written by torch.save"));
  }

  absl::Status CheckByteOrder() {
    if (!archive_.Contains(root_ + "byteorder")) return absl::OkStatus();
    REFLUX_ASSIGN_OR_RETURN(const std::string order, Content("byteorder", 16));
    if (order == "little") return absl::OkStatus();
    return absl::UnimplementedError(
        absl::StrCat(source_->name(), ": its byte order is '", order, "', only 'little' is read"));
  }

  absl::StatusOr<std::string> Content(const std::string& name, uint64_t limit) {
    REFLUX_ASSIGN_OR_RETURN(const ZipArchive::Range range, archive_.Locate(root_ + name));
    REFLUX_ASSIGN_OR_RETURN(std::string content,
                            source_->ReadString(range.begin, range.bytes, limit));
    REFLUX_RETURN_IF_ERROR(CheckSum(root_ + name, range));
    return content;
  }

  absl::Status CheckSum(const std::string& name, const ZipArchive::Range& range) const {
    constexpr uint64_t kPiece = uint64_t{1} << 20;
    std::string piece(std::min(kPiece, range.bytes), '\0');
    uLong sum = crc32(0, nullptr, 0);
    for (uint64_t done = 0; done < range.bytes; done += piece.size()) {
      piece.resize(std::min(kPiece, range.bytes - done));
      REFLUX_RETURN_IF_ERROR(source_->Read(range.begin + done, piece.size(), piece.data()));
      sum =
          crc32(sum, reinterpret_cast<const Bytef*>(piece.data()), static_cast<uInt>(piece.size()));
    }
    if (sum == range.crc) return absl::OkStatus();
    return Broken(*source_, absl::StrCat("the checksum of '", name,
                                         "' does not fit its content: the file is damaged"));
  }

  std::shared_ptr<const ByteSource> source_;
  ZipArchive archive_;
  const bool program_;
  std::string root_;  // "archive/"
  PickleGraph graph_;
  std::set<std::string> checked_;
};

// Pickles of the magic number, the protocol, the system, the object and the list of storage keys;
// then for each key its number of elements and the elements.
class LegacyStorages : public TorchStorages {
 public:
  explicit LegacyStorages(std::shared_ptr<const ByteSource> source) : source_(std::move(source)) {}

  absl::Status Open() {
    const uint64_t bytes = std::min<uint64_t>(source_->size(), kMaxPickleBytes);
    REFLUX_ASSIGN_OR_RETURN(head_, source_->ReadString(0, bytes, bytes));
    PickleGraph keys;
    REFLUX_RETURN_IF_ERROR(NextPickle().status());  // the magic number
    REFLUX_RETURN_IF_ERROR(CheckSystem());
    REFLUX_ASSIGN_OR_RETURN(graph_, NextPickle());
    REFLUX_ASSIGN_OR_RETURN(keys, NextPickle());
    head_.clear();
    return ReadKeys(keys);
  }

  const PickleGraph& graph() const override { return graph_; }

  absl::StatusOr<StorageRange> Find(const std::string& key, ElementType type,
                                    uint64_t elements) override {
    const auto found = places_.find(key);
    if (found == places_.end()) {
      return Broken(*source_, absl::StrCat("it has no storage '", key, "'"));
    }
    if (found->second.type != type) {
      return Broken(*source_, absl::StrCat("storage '", key, "' has two types"));
    }
    return CheckedRange(*source_, key, found->second, found->second.elements * ElementBytes(type),
                        elements);
  }

 private:
  absl::StatusOr<PickleGraph> NextPickle() {
    auto graph = ReadPickle(absl::string_view(head_).substr(position_));
    if (!graph.ok()) return Named(*source_, graph.status());
    position_ += graph->bytes;
    return graph;
  }

  absl::Status CheckSystem() {
    REFLUX_ASSIGN_OR_RETURN(const PickleGraph protocol, NextPickle());
    REFLUX_ASSIGN_OR_RETURN(const PickleGraph system, NextPickle());
    const PickleValue& version = protocol[protocol.root];
    if (version.kind != Kind::kInteger || version.integer != 1001) {
      return Broken(*source_, "the version of its format is not 1001");
    }
    const PickleId little = system.Find(system.root, "little_endian");
    if (little != kNoPickleValue && system[little].integer == 1) return absl::OkStatus();
    return absl::UnimplementedError(
        absl::StrCat(source_->name(), ": its byte order is not little-endian"));
  }

  // A storage's length counts elements, whose type only the object tells.
  absl::Status ReadKeys(const PickleGraph& keys) {
    const PickleValue& list = keys[keys.root];
    if (list.kind != Kind::kList) return Broken(*source_, "its list of storages is missing");
    for (const PickleId id : list.items) {
      if (keys[id].kind != Kind::kString) return Broken(*source_, "a storage without a key");
      order_.push_back(keys[id].text);
    }
    CollectTypes();
    return PlaceAll();
  }

  // From every persistent id ("storage", class, key, ...) of the object.
  void CollectTypes() {
    for (const PickleValue& value : graph_.values) {
      if (value.kind != Kind::kPersistent) continue;
      const PickleValue& id = graph_[value.arguments];
      if (id.kind != Kind::kTuple || id.items.size() < 3) continue;
      const auto type = StorageElementType(graph_[id.items[1]].text);
      if (type.ok()) types_[graph_[id.items[2]].text] = *type;
    }
  }

  absl::Status PlaceAll() {
    uint64_t at = position_;
    for (const std::string& key : order_) {
      const auto type = types_.find(key);
      if (type == types_.end()) {
        return absl::UnimplementedError(
            absl::StrCat(source_->name(), ": storage '", key, "' is of a type that is not read"));
      }
      uint64_t elements = 0;
      REFLUX_RETURN_IF_ERROR(
          source_->Read(at, sizeof(elements), reinterpret_cast<char*>(&elements)));
      at += sizeof(elements);
      const uint64_t size = ElementBytes(type->second);
      if (elements > (source_->size() - at) / size) {
        return Broken(*source_, absl::StrCat("truncated: storage '", key, "' goes beyond its end"));
      }
      places_[key] = {.type = type->second, .begin = at, .elements = elements};
      at += elements * size;
    }
    return absl::OkStatus();
  }

  std::shared_ptr<const ByteSource> source_;
  std::string head_;
  uint64_t position_ = 0;
  PickleGraph graph_;
  std::vector<std::string> order_;
  std::map<std::string, ElementType> types_;
  std::map<std::string, StorageRange> places_;
};

template <typename Storages>
absl::StatusOr<std::unique_ptr<TorchStorages>> Opened(std::unique_ptr<Storages> storages) {
  REFLUX_RETURN_IF_ERROR(storages->Open());
  return storages;
}

}  // namespace

absl::StatusOr<std::unique_ptr<TorchStorages>> OpenZipStorages(
    std::shared_ptr<const ByteSource> source) {
  REFLUX_ASSIGN_OR_RETURN(ZipArchive archive, ZipArchive::Open(source));
  return Opened(
      std::make_unique<ZipStorages>(std::move(source), std::move(archive), /*program=*/false));
}

absl::StatusOr<std::unique_ptr<TorchStorages>> OpenScriptedStorages(
    std::shared_ptr<const ByteSource> source) {
  REFLUX_ASSIGN_OR_RETURN(ZipArchive archive, ZipArchive::Open(source));
  return Opened(
      std::make_unique<ZipStorages>(std::move(source), std::move(archive), /*program=*/true));
}

absl::StatusOr<std::unique_ptr<TorchStorages>> OpenLegacyStorages(
    std::shared_ptr<const ByteSource> source) {
  return Opened(std::make_unique<LegacyStorages>(std::move(source)));
}

bool HasLegacyMagic(const ByteSource& source) { return StartsWithBytes(source, kLegacyMagic); }
bool HasZipMagic(const ByteSource& source) { return StartsWithBytes(source, "PK\x03\x04"); }

absl::StatusOr<ElementType> StorageElementType(const std::string& class_name) {
  static const auto* const types = new std::map<std::string, ElementType>{
      {"DoubleStorage", ElementType::kF64}, {"FloatStorage", ElementType::kF32},
      {"HalfStorage", ElementType::kF16},   {"BFloat16Storage", ElementType::kBF16},
      {"LongStorage", ElementType::kI64},   {"IntStorage", ElementType::kI32},
      {"ByteStorage", ElementType::kU8},    {"BoolStorage", ElementType::kBool}};
  absl::string_view name = class_name;
  if (absl::ConsumePrefix(&name, "torch.")) {
    absl::ConsumePrefix(&name, "cuda.");
    const auto found = types->find(std::string(name));
    if (found != types->end()) return found->second;
  }
  return absl::UnimplementedError(
      absl::StrCat("storages of class '", class_name, "' are not read"));
}

}  // namespace reflux
