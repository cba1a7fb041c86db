#include "cache/rados/rados_namespace.h"

#include <errno.h>

#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

using WriteOp = std::unique_ptr<void, void (*)(rados_write_op_t)>;

WriteOp MakeWriteOp() { return {rados_create_write_op(), &rados_release_write_op}; }

// A full pool refuses instead of letting the caller wait.
constexpr int kWriteFlags = LIBRADOS_OPERATION_FULL_TRY;

}  // namespace

absl::StatusOr<std::shared_ptr<RadosNamespace>> RadosNamespace::Open(
    std::shared_ptr<RadosCluster> cluster, const std::string& name) {
  auto space = std::shared_ptr<RadosNamespace>(new RadosNamespace(std::move(cluster), name));
  RadosCluster& owner = *space->cluster_;
  REFLUX_RETURN_IF_ERROR(
      owner.Translate(rados_ioctx_create(owner.handle(), owner.pool().c_str(), &space->io_),
                      absl::StrCat("pool ", owner.pool())));
  rados_ioctx_set_namespace(space->io_, name.c_str());
  return space;
}

RadosNamespace::~RadosNamespace() {
  if (io_ != nullptr) rados_ioctx_destroy(io_);
}

absl::Status RadosNamespace::Translate(int result, const std::string& object,
                                       absl::string_view what) {
  if (result >= 0) return absl::OkStatus();
  return cluster_->Translate(result, absl::StrCat(what, " ", name_, "/", object.substr(0, 16)));
}

absl::Status RadosNamespace::Write(const std::string& object, absl::string_view head,
                                   absl::string_view body, bool exclusive) {
  REFLUX_RETURN_IF_ERROR(cluster_->Ready());
  const WriteOp op = MakeWriteOp();
  if (exclusive) {
    rados_write_op_create(op.get(), LIBRADOS_CREATE_EXCLUSIVE, nullptr);
  }
  rados_write_op_set_alloc_hint2(
      op.get(), head.size() + body.size(), head.size() + body.size(),
      LIBRADOS_ALLOC_HINT_FLAG_SEQUENTIAL_READ | LIBRADOS_ALLOC_HINT_FLAG_IMMUTABLE);
  rados_write_op_write_full(op.get(), head.data(), head.size());
  if (!body.empty()) rados_write_op_write(op.get(), body.data(), body.size(), head.size());
  return Translate(rados_write_op_operate(op.get(), io_, object.c_str(), nullptr, kWriteFlags),
                   object, "write");
}

absl::Status RadosNamespace::Create(const std::string& object, absl::string_view head,
                                    absl::string_view body) {
  return Write(object, head, body, /*exclusive=*/true);
}

absl::Status RadosNamespace::Replace(const std::string& object, absl::string_view head,
                                     absl::string_view body) {
  return Write(object, head, body, /*exclusive=*/false);
}

absl::Status RadosNamespace::Remove(const std::string& object) {
  REFLUX_RETURN_IF_ERROR(cluster_->Ready());
  const absl::Status status = Translate(rados_remove(io_, object.c_str()), object, "remove");
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

absl::StatusOr<std::string> RadosNamespace::ReadStart(const std::string& object, size_t size) {
  std::string bytes(size, '\0');
  REFLUX_ASSIGN_OR_RETURN(const size_t read, StartRead(object, {{bytes.data(), size}}).Await());
  bytes.resize(read);
  return bytes;
}

absl::StatusOr<RadosNamespace::ObjectInfo> RadosNamespace::Stat(const std::string& object) {
  REFLUX_RETURN_IF_ERROR(cluster_->Ready());
  uint64_t size = 0;
  time_t modified = 0;
  REFLUX_RETURN_IF_ERROR(
      Translate(rados_stat(io_, object.c_str(), &size, &modified), object, "stat"));
  return ObjectInfo{.size = static_cast<int64_t>(size), .modified = absl::FromTimeT(modified)};
}

RadosReading RadosNamespace::StartRead(const std::string& object,
                                       const std::vector<RadosReading::Memory>& into) {
  return RadosReading(cluster_, io_, object, into);
}

absl::Status RadosNamespace::ChangeMap(const std::string& object, const MapChange& change) {
  REFLUX_RETURN_IF_ERROR(cluster_->Ready());
  const WriteOp op = MakeWriteOp();
  rados_write_op_create(op.get(), LIBRADOS_CREATE_IDEMPOTENT, nullptr);
  std::vector<int> compared(change.expected.size());
  for (size_t i = 0; i < change.expected.size(); ++i) {
    const auto& [key, value] = change.expected[i];
    rados_write_op_omap_cmp2(op.get(), key.data(), LIBRADOS_CMPXATTR_OP_EQ, value.data(),
                             key.size(), value.size(), &compared[i]);
  }
  for (const auto& [key, value] : change.set) {
    const char* keys = key.data();
    const char* values = value.data();
    const size_t key_size = key.size(), value_size = value.size();
    rados_write_op_omap_set2(op.get(), &keys, &values, &key_size, &value_size, 1);
  }
  for (const std::string& key : change.erase) {
    const char* keys = key.data();
    const size_t key_size = key.size();
    rados_write_op_omap_rm_keys2(op.get(), &keys, &key_size, 1);
  }
  return Translate(rados_write_op_operate(op.get(), io_, object.c_str(), nullptr, kWriteFlags),
                   object, "change of");
}

// One MapQuery under way.
class RadosNamespace::MapReading {
 public:
  explicit MapReading(const MapQuery& query) : query_(query) {
    for (const std::string& key : query.keys) {
      pointers_.push_back(key.data());
      sizes_.push_back(key.size());
    }
    if (query.keys.empty()) {
      rados_read_op_omap_get_vals2(op_.get(), query.after.c_str(), query.prefix.c_str(),
                                   query.limit, &entries_, &more_, &result_);
    } else {
      rados_read_op_omap_get_vals_by_keys2(op_.get(), pointers_.data(), pointers_.size(),
                                           sizes_.data(), &entries_, &result_);
    }
    rados_aio_create_completion2(nullptr, nullptr, &completion_);
  }
  ~MapReading() {
    if (started_) rados_aio_wait_for_complete(completion_);
    rados_aio_release(completion_);
    if (entries_ != nullptr) rados_omap_get_end(entries_);
  }
  MapReading(const MapReading&) = delete;
  MapReading& operator=(const MapReading&) = delete;

  int Start(rados_ioctx_t io) {
    const int result =
        rados_aio_read_op_operate(op_.get(), io, completion_, query_.object.c_str(), 0);
    started_ = result == 0;
    return result;
  }
  int Await() {
    rados_aio_wait_for_complete(completion_);
    return rados_aio_get_return_value(completion_);
  }
  Map Entries() {
    Map map;
    char *key = nullptr, *value = nullptr;
    size_t key_size = 0, value_size = 0;
    while (entries_ != nullptr &&
           rados_omap_get_next2(entries_, &key, &value, &key_size, &value_size) == 0 &&
           key != nullptr) {
      map.emplace(std::string(key, key_size), std::string(value, value_size));
    }
    return map;
  }

 private:
  const MapQuery& query_;
  const RadosReadOp op_ = MakeRadosReadOp();
  std::vector<const char*> pointers_;
  std::vector<size_t> sizes_;
  rados_omap_iter_t entries_ = nullptr;
  unsigned char more_ = 0;
  int result_ = 0;
  rados_completion_t completion_ = nullptr;
  bool started_ = false;
};

absl::StatusOr<std::vector<RadosNamespace::Map>> RadosNamespace::ReadMaps(
    const std::vector<MapQuery>& queries) {
  REFLUX_RETURN_IF_ERROR(cluster_->Ready());
  std::vector<std::unique_ptr<MapReading>> readings;
  for (const MapQuery& query : queries) {
    readings.push_back(std::make_unique<MapReading>(query));
    REFLUX_RETURN_IF_ERROR(Translate(readings.back()->Start(io_), query.object, "map of"));
  }
  std::vector<Map> answers(queries.size());
  for (size_t i = 0; i < queries.size(); ++i) {
    const absl::Status status = Translate(readings[i]->Await(), queries[i].object, "map of");
    if (absl::IsNotFound(status)) continue;
    REFLUX_RETURN_IF_ERROR(status);
    answers[i] = readings[i]->Entries();
  }
  return answers;
}

absl::StatusOr<RadosNamespace::Map> RadosNamespace::ReadMap(const MapQuery& query) {
  REFLUX_ASSIGN_OR_RETURN(std::vector<Map> answers, ReadMaps({query}));
  return std::move(answers[0]);
}

absl::Status RadosNamespace::List(const std::function<absl::Status(const std::string&)>& visit) {
  REFLUX_RETURN_IF_ERROR(cluster_->Ready());
  rados_list_ctx_t listing = nullptr;
  REFLUX_RETURN_IF_ERROR(Translate(rados_nobjects_list_open(io_, &listing), "", "listing of"));
  const std::unique_ptr<void, void (*)(rados_list_ctx_t)> close(listing,
                                                                &rados_nobjects_list_close);
  const char *object = nullptr, *locator = nullptr, *space = nullptr;
  while (true) {
    const int result = rados_nobjects_list_next(listing, &object, &locator, &space);
    if (result == -ENOENT) return absl::OkStatus();
    REFLUX_RETURN_IF_ERROR(Translate(result, "", "listing of"));
    REFLUX_RETURN_IF_ERROR(visit(object));
  }
}

absl::StatusOr<std::vector<std::string>> RadosNamespace::ListNamespaces(const std::string& prefix) {
  REFLUX_ASSIGN_OR_RETURN(const auto all, Open(cluster_, LIBRADOS_ALL_NSPACES));
  rados_list_ctx_t listing = nullptr;
  REFLUX_RETURN_IF_ERROR(Translate(rados_nobjects_list_open(all->io_, &listing), "", "listing of"));
  const std::unique_ptr<void, void (*)(rados_list_ctx_t)> close(listing,
                                                                &rados_nobjects_list_close);
  std::set<std::string> names;
  const char *object = nullptr, *locator = nullptr, *space = nullptr;
  while (true) {
    const int result = rados_nobjects_list_next(listing, &object, &locator, &space);
    if (result == -ENOENT) return std::vector<std::string>(names.begin(), names.end());
    REFLUX_RETURN_IF_ERROR(Translate(result, "", "listing of"));
    if (absl::StartsWith(space, prefix)) names.insert(space);
  }
}

}  // namespace reflux
