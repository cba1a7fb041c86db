#include "cache/value_locations.h"

#include <array>
#include <utility>

#include "absl/strings/string_view.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

// What stands around a value in its block: an entry's lengths and key before it, the block's
// restart points and checksum behind.
constexpr size_t kMaxBlockOverhead = 64;
constexpr size_t kInternalKeyBytes = 16;  // insertion number, then sequence number and type
constexpr unsigned char kTypeValue = 1;

// A lookup under way on this thread.
struct Search {
  uint64_t value_bytes = 0;
  std::optional<ValueLocation> block;  // where its block begins
};
thread_local Search* current_search = nullptr;

class SearchOnThisThread {
 public:
  explicit SearchOnThisThread(Search& search) { current_search = &search; }
  ~SearchOnThisThread() { current_search = nullptr; }
};

// Answers the read of the block that is searched with an error, after noting where it is: the
// lookup ends there, and nothing has been read.
class LocatedFile : public rocksdb::FSRandomAccessFileWrapper {
 public:
  LocatedFile(std::shared_ptr<rocksdb::FSRandomAccessFile> file, const std::string& path)
      : FSRandomAccessFileWrapper(file.get()), file_(std::move(file)), path_(path) {}

  rocksdb::IOStatus Read(uint64_t offset, size_t size, const rocksdb::IOOptions& options,
                         rocksdb::Slice* result, char* scratch,
                         rocksdb::IODebugContext* debug) const override {
    Search* search = current_search;
    if (search == nullptr || size <= search->value_bytes ||
        size > search->value_bytes + kMaxBlockOverhead) {
      return file_->Read(offset, size, options, result, scratch, debug);
    }
    search->block = ValueLocation{file_, path_, offset};
    return rocksdb::IOStatus::Aborted("located");
  }

 private:
  const std::shared_ptr<rocksdb::FSRandomAccessFile> file_;
  const std::string path_;
};

class LocatingFileSystem : public rocksdb::FileSystemWrapper {
 public:
  LocatingFileSystem() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "LocatingFileSystem"; }

  rocksdb::IOStatus NewRandomAccessFile(const std::string& path,
                                        const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                                        rocksdb::IODebugContext* debug) override {
    const rocksdb::IOStatus status = target()->NewRandomAccessFile(path, options, file, debug);
    if (status.ok()) *file = std::make_unique<LocatedFile>(std::move(*file), path);
    return status;
  }
};

// Reads what stands before the value of an entry.
class EntryHead {
 public:
  explicit EntryHead(absl::string_view bytes) : bytes_(bytes) {}

  // The bytes before the value, if this is the whole entry of `record` as a block begins with it.
  std::optional<size_t> SizeFor(const IndexRecord& record) {
    const uint64_t shared = Varint(), own = Varint(), value = Varint();
    const std::string key = EncodeInsertion(record.insertion);
    const bool fits = shared == 0 && own == kInternalKeyBytes && value == record.size &&
                      at_ + kInternalKeyBytes <= bytes_.size() &&
                      bytes_.substr(at_, key.size()) == key &&
                      static_cast<unsigned char>(bytes_[at_ + key.size()]) == kTypeValue;
    if (!fits) return std::nullopt;
    return at_ + kInternalKeyBytes;
  }

 private:
  // Seven bits a byte, the lowest first. A number that does not end fits nothing.
  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 35 && at_ < bytes_.size(); shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes_[at_++]);
      value |= uint64_t{byte & 0x7fu} << shift;
      if ((byte & 0x80u) == 0) return value;
    }
    return ~uint64_t{0};
  }

  const absl::string_view bytes_;
  size_t at_ = 0;
};

// Of the value, if the entry of `record` begins `block`.
std::optional<ValueLocation> ValueIn(const ValueLocation& block, const IndexRecord& record) {
  std::array<char, kMaxBlockOverhead> head;
  if (!block.Read(head.data(), 0, head.size()).ok()) return std::nullopt;
  const auto before = EntryHead({head.data(), head.size()}).SizeFor(record);
  if (!before.has_value()) return std::nullopt;
  return ValueLocation{block.file, block.path, block.offset + *before};
}

}  // namespace

absl::Status ValueLocation::Read(char* out, uint64_t at, uint64_t size) const {
  rocksdb::Slice read;
  const rocksdb::Status status = file->Read(offset + at, size, {}, &read, out, nullptr);
  REFLUX_RETURN_IF_ERROR(FromRocks(status, "cache value"));
  if (read.size() == size && read.data() == out) return absl::OkStatus();
  return absl::DataLossError("cache value: its table is cut short");
}

std::unique_ptr<rocksdb::Env> MakeLocatingEnv() {
  return rocksdb::NewCompositeEnv(std::make_shared<LocatingFileSystem>());
}

LocatedOrRead LocateOrRead(const RocksHandles& handles, const IndexRecord& record,
                           rocksdb::PinnableSlice& value) {
  const std::string key = EncodeInsertion(record.insertion);
  if (record.size >= kLeastLocatedBytes) {
    Search search{.value_bytes = record.size};
    rocksdb::Status status;
    {
      const SearchOnThisThread searching(search);
      status = handles.db->Get({}, handles.values, key, &value);
    }
    if (!search.block.has_value()) return {std::nullopt, status};  // in memory, or not there
    if (auto location = ValueIn(*search.block, record)) return {std::move(location), {}};
  }
  value.Reset();
  return {std::nullopt, handles.db->Get({}, handles.values, key, &value)};
}

}  // namespace reflux
