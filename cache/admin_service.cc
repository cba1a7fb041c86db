#include "cache/admin_service.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cache/find_sets.h"
#include "cache/inventory.h"
#include "cache/note_names.h"
#include "cache/set_record.h"
#include "cache/verify_store.h"
#include "common/base/status_macros.h"
#include "common/rpc/status.h"
#include "common/targets/wire.h"

namespace reflux {
namespace {

constexpr int64_t kMaxPinSeconds = 315360000;  // ten years

class Service : public v1::CacheAdminService::Service {
 public:
  Service(TargetStore& store, const CachingSource& source) : store_(store), source_(source) {}

  grpc::Status Stats(grpc::ServerContext*, const v1::CacheStatsRequest*,
                     v1::CacheStats* answer) override {
    const StoreStats store = store_.stats();
    const CacheCounts counts = source_.counts();
    answer->set_entries(store.entries);
    answer->set_live_bytes(store.live_bytes);
    answer->set_capacity_bytes(store.capacity_bytes);
    answer->set_free_disk_bytes(store.free_disk_bytes);
    answer->set_directory(store.directory);
    answer->set_storing(store.storing);
    answer->set_hits(counts.hits);
    answer->set_misses(counts.misses);
    answer->set_fills(counts.fills);
    answer->set_corrupted(counts.corrupted);
    answer->set_passed_through(counts.passed_through);
    answer->set_disk_bytes(store.disk_bytes);
    answer->set_evicted(store.evicted);
    answer->set_refused(store.refused);
    answer->set_read_errors(counts.read_errors);
    return grpc::Status::OK;
  }

  grpc::Status ListTargetSets(grpc::ServerContext*, const v1::ListTargetSetsRequest*,
                              v1::ListTargetSetsResponse* answer) override {
    const absl::StatusOr<std::vector<StoredSet>> sets = store_.ListSets();
    if (!sets.ok()) return ToGrpc(sets.status());
    for (const StoredSet& set : *sets) *answer->add_sets() = ToProto(set);
    return grpc::Status::OK;
  }

  grpc::Status Contains(grpc::ServerContext*, const v1::FetchRequest* message,
                        v1::ContainsResponse* answer) override {
    const absl::StatusOr<TargetRequest> request = FromProto(*message);
    if (!request.ok()) return ToGrpc(request.status());
    for (const bool held : HeldIn(store_, *request)) answer->add_held(held);
    return grpc::Status::OK;
  }

  grpc::Status Verify(grpc::ServerContext* context, const v1::VerifyRequest*,
                      v1::VerifyResponse* answer) override {
    const FetchContext until{.deadline = absl::FromChrono(context->deadline())};
    const absl::StatusOr<VerifyReport> report = VerifyStore(store_, until);
    if (!report.ok()) return ToGrpc(report.status());
    answer->set_entries(report->entries);
    answer->set_bytes(report->bytes);
    answer->set_corrupted(report->corrupted);
    return grpc::Status::OK;
  }

  grpc::Status RemoveTargetSets(grpc::ServerContext*, const v1::RemoveTargetSetsRequest* request,
                                v1::RemoveTargetSetsResponse* answer) override {
    return ToGrpc(Remove(*request, *answer));
  }

  grpc::Status PinTargetSets(grpc::ServerContext*, const v1::PinTargetSetsRequest* request,
                             v1::ListTargetSetsResponse* answer) override {
    return ToGrpc(Pin(*request, *answer));
  }

  grpc::Status CollectGarbage(grpc::ServerContext* context,
                              const v1::CollectGarbageRequest* request,
                              v1::CollectGarbageResponse* answer) override {
    const FetchContext until{.deadline = absl::FromChrono(context->deadline())};
    return ToGrpc(Collect(until, request->target_bytes(), *answer));
  }

  grpc::Status GetNote(grpc::ServerContext*, const v1::Note* request, v1::Note* answer) override {
    if (const absl::Status named = CheckNote(*request); !named.ok()) return ToGrpc(named);
    absl::StatusOr<std::string> value = store_.GetMeta(NoteMetaName(request->name()));
    if (!value.ok()) return ToGrpc(value.status());
    answer->set_name(request->name());
    answer->set_value(*std::move(value));
    return grpc::Status::OK;
  }

  grpc::Status KeepNote(grpc::ServerContext*, const v1::Note* note,
                        v1::KeepNoteResponse*) override {
    if (const absl::Status named = CheckNote(*note); !named.ok()) return ToGrpc(named);
    return ToGrpc(store_.PutMeta(NoteMetaName(note->name()), note->value()));
  }

 private:
  static absl::Status CheckNote(const v1::Note& note) {
    if (!note.name().empty() && note.name().size() <= kMaxNoteName &&
        note.value().size() <= kMaxNoteBytes) {
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(absl::StrCat("note: a name of 1..", kMaxNoteName,
                                                   " bytes, a value of at most ", kMaxNoteBytes));
  }

  // The sets that a request names: one, or all of that beginning.
  absl::StatusOr<std::vector<StoredSet>> Named(const std::string& name, bool all) {
    REFLUX_ASSIGN_OR_RETURN(const std::vector<StoredSet> sets, store_.ListSets());
    if (all) return FindSets(sets, name);
    REFLUX_ASSIGN_OR_RETURN(StoredSet set, FindSet(sets, name));
    return std::vector<StoredSet>{std::move(set)};
  }

  absl::Status Remove(const v1::RemoveTargetSetsRequest& request,
                      v1::RemoveTargetSetsResponse& answer) {
    REFLUX_ASSIGN_OR_RETURN(const std::vector<StoredSet> sets, Named(request.set(), request.all()));
    for (const StoredSet& set : sets) {
      if (!set.leased || request.force()) continue;
      return absl::FailedPreconditionError(absl::StrCat(
          FullName(set.set),
          set.pin_term > absl::ZeroDuration() ? " is pinned: release it first"
                                              : " was used in the last ten minutes: wait",
          ", or force the removal"));
    }
    for (const StoredSet& set : sets) {
      REFLUX_ASSIGN_OR_RETURN(const int64_t freed, store_.RemoveSet(set.id));
      answer.set_freed_bytes(answer.freed_bytes() + freed);
      *answer.add_sets() = ToProto(set);
    }
    return absl::OkStatus();
  }

  absl::Status Pin(const v1::PinTargetSetsRequest& request, v1::ListTargetSetsResponse& answer) {
    if (request.for_seconds() < 0 || request.for_seconds() > kMaxPinSeconds) {
      return absl::InvalidArgumentError("for_seconds: must lie in 0..315360000");
    }
    REFLUX_ASSIGN_OR_RETURN(const std::vector<StoredSet> sets, Named(request.set(), request.all()));
    for (const StoredSet& set : sets) {
      REFLUX_RETURN_IF_ERROR(store_.Pin(set.id, absl::Seconds(request.for_seconds())));
    }
    REFLUX_ASSIGN_OR_RETURN(const std::vector<StoredSet> pinned,
                            Named(request.set(), request.all()));
    for (const StoredSet& set : pinned) *answer.add_sets() = ToProto(set);
    return absl::OkStatus();
  }

  absl::Status Collect(const FetchContext& context, int64_t target_bytes,
                       v1::CollectGarbageResponse& answer) {
    const int64_t live_bytes = store_.stats().live_bytes;
    if (target_bytes >= 0 && live_bytes > target_bytes) {
      REFLUX_ASSIGN_OR_RETURN(const int64_t evicted, store_.Evict(live_bytes - target_bytes));
      answer.set_evicted_bytes(evicted);
    }
    REFLUX_ASSIGN_OR_RETURN(const int64_t reclaimed, store_.Reclaim(context));
    answer.set_reclaimed_bytes(reclaimed);
    const StoreStats stats = store_.stats();
    answer.set_live_bytes(stats.live_bytes);
    answer.set_disk_bytes(stats.disk_bytes);
    return absl::OkStatus();
  }

  TargetStore& store_;
  const CachingSource& source_;
};

}  // namespace

std::unique_ptr<v1::CacheAdminService::Service> MakeCacheAdminService(TargetStore& store,
                                                                      const CachingSource& source) {
  return std::make_unique<Service>(store, source);
}

}  // namespace reflux
