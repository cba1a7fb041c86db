#include "orchestrator/job_store.h"

#include <rocksdb/db.h>

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"

namespace reflux {
namespace {

constexpr char kJobPrefix[] = "job/";
constexpr char kServicePrefix[] = "service/";

absl::Status ToStatus(const rocksdb::Status& status, const std::string& what) {
  if (status.ok()) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(what, ": ", status.ToString()));
}

}  // namespace

struct JobStore::State {
  std::unique_ptr<rocksdb::DB> db;

  absl::Status Put(const std::string& key, const google::protobuf::MessageLite& record,
                   bool durable) {
    rocksdb::WriteOptions options;
    options.sync = durable;
    return ToStatus(db->Put(options, key, record.SerializeAsString()),
                    absl::StrCat("cannot store ", key));
  }

  template <typename Record>
  absl::StatusOr<std::vector<Record>> All(const std::string& prefix) const {
    std::vector<Record> records;
    const std::unique_ptr<rocksdb::Iterator> at(db->NewIterator({}));
    for (at->Seek(prefix); at->Valid() && at->key().starts_with(prefix); at->Next()) {
      if (!records.emplace_back().ParseFromArray(at->value().data(), at->value().size())) {
        return absl::DataLossError(absl::StrCat("record ", at->key().ToString(), " is damaged"));
      }
    }
    if (absl::Status status = ToStatus(at->status(), "cannot read records"); !status.ok()) {
      return status;
    }
    return records;
  }
};

JobStore::JobStore(std::unique_ptr<State> state) : state_(std::move(state)) {}
JobStore::~JobStore() = default;

absl::StatusOr<std::unique_ptr<JobStore>> JobStore::Open(const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  rocksdb::Options options;
  options.create_if_missing = true;
  options.keep_log_file_num = 2;
  options.max_background_jobs = 2;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(options, directory, &db);
  if (status.IsIOError() && status.ToString().find("lock") != std::string::npos) {
    return absl::FailedPreconditionError(
        absl::StrCat(directory, " is in use by another orchestrator: ", status.ToString()));
  }
  if (!status.ok()) return ToStatus(status, absl::StrCat("cannot open ", directory));
  auto state = std::make_unique<State>();
  state->db.reset(db);
  return std::unique_ptr<JobStore>(new JobStore(std::move(state)));
}

absl::Status JobStore::PutJob(const store::JobRecord& job, bool durable) {
  return state_->Put(kJobPrefix + job.job_id(), job, durable);
}

absl::Status JobStore::PutService(const store::ServiceRecord& service, bool durable) {
  return state_->Put(kServicePrefix + service.role(), service, durable);
}

absl::StatusOr<std::vector<store::JobRecord>> JobStore::Jobs() const {
  return state_->All<store::JobRecord>(kJobPrefix);
}

absl::StatusOr<std::vector<store::ServiceRecord>> JobStore::Services() const {
  return state_->All<store::ServiceRecord>(kServicePrefix);
}

}  // namespace reflux
