#include "student_worker/target_path.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cache/caching_source.h"
#include "cache/rocks_target_store.h"
#include "common/base/status_macros.h"
#include "common/rpc/server_list.h"
#include "common/spec/job_teachers.h"
#include "common/targets/pooled_source.h"
#include "common/targets/rendezvous_source.h"
#include "distill/data/dataset.h"
#include "job_plan/data_plan.h"
#include "job_plan/device_plan.h"
#include "job_plan/open_teacher.h"

namespace reflux {
namespace {

// A folder that the processes of one teacher publish in.
bool IsPool(const std::string& servers) {
  return absl::StartsWith(servers, "@") && absl::EndsWith(servers, "/");
}

std::unique_ptr<TargetSource> ConnectPool(const RemoteSourceOptions& remote,
                                          MetricRegistry* registry) {
  if (registry == nullptr) return MakePooledRemoteSource(remote, {}, {});
  return MakePooledRemoteSource(remote, RemoteSourceMetrics::Register(*registry, "worker"),
                                PooledSourceMetrics::Register(*registry, "worker"));
}

class RemotePath : public TargetPath {
 public:
  static absl::StatusOr<std::unique_ptr<TargetPath>> Open(const v1::JobSpec& spec,
                                                          const TargetEndpoints& endpoints,
                                                          MetricRegistry* registry) {
    auto path = std::make_unique<RemotePath>();
    const std::set<std::string> used = UsedTeachers(spec);
    for (const std::string& teacher : used) {
      auto endpoint = endpoints.find(teacher);
      if (endpoint == endpoints.end() && used.size() == 1) endpoint = endpoints.find("");
      if (endpoint == endpoints.end()) {
        return absl::InvalidArgumentError(
            absl::StrCat("--targets: nothing for the teacher ", teacher, "; the losses name ",
                         absl::StrJoin(used, ", "), ": give ", teacher, "=SERVERS"));
      }
      REFLUX_ASSIGN_OR_RETURN(path->teachers_[teacher], Connect(spec, endpoint->second, registry));
    }
    return path;
  }
  std::map<std::string, TeacherAccess> sources() override {
    std::map<std::string, TeacherAccess> sources;
    for (const auto& [name, teacher] : teachers_) {
      sources[name] = {.source = teacher.source.get(),
                       .notes = teacher.notes.get(),
                       .storing = teacher.storing.get()};
    }
    return sources;
  }

 private:
  struct Servers {
    std::unique_ptr<TargetSource> source, storing;
    std::unique_ptr<CacheNotes> notes;
  };
  // A pool is of teachers alone: it keeps nothing.
  static absl::StatusOr<Servers> Connect(const v1::JobSpec& spec, const std::string& endpoint,
                                         MetricRegistry* registry) {
    Servers servers;
    RemoteSourceOptions remote{.endpoint = endpoint};
    remote.read_image = [root = DataRoot(spec.data())](const Locator& locator) {
      return ReadImageFile(root, locator);
    };
    remote.read_label = PlanLabelReader(spec.data());
    if (IsPool(endpoint)) {
      servers.source = ConnectPool(remote, registry);
      return servers;
    }
    remote.reads_files = spec.targets().read() != "server";
    REFLUX_ASSIGN_OR_RETURN(servers.source, ConnectServers(endpoint, remote, registry, "worker"));
    remote.discard = true;
    REFLUX_ASSIGN_OR_RETURN(servers.storing, ConnectServers(endpoint, remote, nullptr, "worker"));
    servers.notes = MakeRemoteNotes(endpoint);
    return servers;
  }

  std::map<std::string, Servers> teachers_;
};

// One store for all: what a target is kept under says whose it is.
class EmbeddedPath : public TargetPath {
 public:
  static absl::StatusOr<std::unique_ptr<TargetPath>> Open(const v1::JobSpec& spec,
                                                          const std::string& cache_directory,
                                                          MetricRegistry* registry,
                                                          const Cancellation* cancellation);
  std::map<std::string, TeacherAccess> sources() override {
    std::map<std::string, TeacherAccess> sources;
    for (const auto& [teacher, local] : local_) {
      sources[teacher] = {
          .source = local.get(), .fresh_source = local.get(), .notes = notes_.get()};
    }
    for (const auto& [teacher, caching] : caching_) {
      sources[teacher].source = caching.get();
      sources[teacher].storing = &caching->storing();
    }
    return sources;
  }
  TargetStore* store() override { return store_.get(); }

 private:
  std::map<std::string, std::unique_ptr<TargetSource>> local_;
  std::unique_ptr<RocksTargetStore> store_;
  std::unique_ptr<CacheNotes> notes_;
  std::map<std::string, std::unique_ptr<CachingSource>> caching_;
};

absl::StatusOr<std::unique_ptr<TargetPath>> EmbeddedPath::Open(const v1::JobSpec& spec,
                                                               const std::string& cache_directory,
                                                               MetricRegistry* registry,
                                                               const Cancellation* cancellation) {
  OpenTeacherOptions options{.cancellation = cancellation};
  options.read_image = [root = DataRoot(spec.data())](const Locator& locator) {
    return ReadImageFile(root, locator);
  };
  options.read_label = PlanLabelReader(spec.data());
  if (registry != nullptr) options.metrics = LocalSourceMetrics::Register(*registry);
  auto path = std::make_unique<EmbeddedPath>();
  // All before the first computes: one on the CPU would hide the GPU from the next (PlanDevice).
  for (const std::string& name : UsedTeachers(spec))
    REFLUX_RETURN_IF_ERROR(PlanDevice(spec.teachers().at(name).device()).status());
  for (const std::string& name : UsedTeachers(spec)) {
    REFLUX_ASSIGN_OR_RETURN(OpenedTeacher teacher, OpenTeacher(spec, name, options));
    path->local_[name] = std::move(teacher.source);
  }
  // Fresh views never come back: storing them would only fill the disk.
  if (spec.targets().cache() == "none" || spec.targets().views() == "live") return path;
  REFLUX_ASSIGN_OR_RETURN(path->store_, RocksTargetStore::Open({.directory = cache_directory}));
  path->notes_ = MakeStoreNotes(*path->store_);
  for (const auto& [name, local] : path->local_) {
    path->caching_[name] = MakeCachingSource(
        *path->store_, *local, {},
        registry != nullptr ? CachingSourceMetrics::Register(*registry) : CachingSourceMetrics{});
  }
  return path;
}

}  // namespace

absl::StatusOr<TargetEndpoints> ParseTargetEndpoints(const std::vector<std::string>& flags) {
  TargetEndpoints endpoints;
  for (const std::string& flag : flags) {
    const size_t equals = flag.find('=');
    // A file's name may hold '=' too: a teacher's name begins with no '@' and has no '/'.
    const bool named = equals != std::string::npos && flag[0] != '@' && flag.find('/') > equals;
    const std::string teacher = named ? flag.substr(0, equals) : "";
    if (!endpoints.emplace(teacher, named ? flag.substr(equals + 1) : flag).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("--targets ", flag, ": the same teacher twice"));
    }
  }
  return endpoints;
}

absl::StatusOr<std::unique_ptr<TargetPath>> OpenTargetPath(
    const v1::JobSpec& spec, const TargetPathOptions& options, MetricRegistry* registry,
    const std::shared_ptr<Cancellation>& cancellation) {
  if (!NeedsTeacher(spec.losses())) return std::make_unique<RemotePath>();
  if (!options.endpoints.empty()) return RemotePath::Open(spec, options.endpoints, registry);
  return EmbeddedPath::Open(spec, options.cache_directory, registry, cancellation.get());
}

}  // namespace reflux
