#include "student_worker/target_path.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "cache/caching_source.h"
#include "cache/direct_source.h"
#include "cache/rocks_target_store.h"
#include "common/base/build_version.h"
#include "common/base/status_macros.h"
#include "common/rpc/server_list.h"
#include "common/spec/job_teachers.h"
#include "common/targets/rendezvous_source.h"
#include "distill/data/dataset.h"
#include "distill/teacher/local_source.h"
#include "job_plan/data_plan.h"
#include "job_plan/teacher_plan.h"

namespace reflux {
namespace {

class RemotePath : public TargetPath {
 public:
  RemotePath(std::unique_ptr<TargetSource> source, std::unique_ptr<TargetSource> storing,
             std::unique_ptr<CacheNotes> notes)
      : source_(std::move(source)), storing_(std::move(storing)), notes_(std::move(notes)) {}
  TargetSource& source() override { return *source_; }
  TargetSource& storing() override { return *storing_; }
  CacheNotes* notes() override { return notes_.get(); }

 private:
  std::unique_ptr<TargetSource> source_, storing_;
  std::unique_ptr<CacheNotes> notes_;
};

class EmbeddedPath : public TargetPath {
 public:
  static absl::StatusOr<std::unique_ptr<TargetPath>> Open(const v1::JobSpec& spec,
                                                          const std::string& cache_directory,
                                                          MetricRegistry* registry,
                                                          const Cancellation* cancellation);
  TargetSource& source() override {
    return caching_ ? static_cast<TargetSource&>(*caching_) : *local_;
  }
  TargetSource* fresh_source() override { return local_.get(); }
  CacheNotes* notes() override { return notes_.get(); }
  TargetSource& storing() override { return caching_->storing(); }
  TargetStore* store() override { return store_.get(); }

 private:
  std::unique_ptr<TargetSource> local_;
  std::unique_ptr<RocksTargetStore> store_;
  std::unique_ptr<CacheNotes> notes_;
  std::unique_ptr<CachingSource> caching_;
};

absl::StatusOr<std::unique_ptr<TargetPath>> EmbeddedPath::Open(const v1::JobSpec& spec,
                                                               const std::string& cache_directory,
                                                               MetricRegistry* registry,
                                                               const Cancellation* cancellation) {
  const std::set<std::string> used = UsedTeachers(spec);
  if (used.size() != 1) return absl::InvalidArgumentError("losses: they must name one teacher");
  const v1::TeacherSpec& teacher_spec = spec.teachers().at(*used.begin());
  REFLUX_ASSIGN_OR_RETURN(Teacher teacher, LoadTeacher(teacher_spec));
  REFLUX_ASSIGN_OR_RETURN(const double miou,
                          CheckTeacher(teacher, teacher_spec, spec.data(), cancellation));
  spdlog::info("teacher {} {}: {:.1f} % mIoU on validation images", teacher.model->architecture(),
               teacher.identity.digest.Short(), miou);
  auto path = std::make_unique<EmbeddedPath>();
  path->local_ = MakeLocalSource(
      std::move(teacher),
      [root = DataRoot(spec.data())](const Locator& locator) {
        return ReadImageFile(root, locator);
      },
      {.miou = miou,
       .build_version = std::string(BuildVersion()),
       .read_label = PlanLabelReader(spec.data())},
      registry != nullptr ? LocalSourceMetrics::Register(*registry) : LocalSourceMetrics{});
  // Fresh views never come back: storing them would only fill the disk.
  if (spec.targets().cache() == "none" || spec.targets().views() == "live") return path;
  REFLUX_ASSIGN_OR_RETURN(path->store_, RocksTargetStore::Open({.directory = cache_directory}));
  path->notes_ = MakeStoreNotes(*path->store_);
  path->caching_ = MakeCachingSource(
      *path->store_, *path->local_, {},
      registry != nullptr ? CachingSourceMetrics::Register(*registry) : CachingSourceMetrics{});
  return path;
}

}  // namespace

absl::StatusOr<std::unique_ptr<TargetPath>> OpenTargetPath(
    const v1::JobSpec& spec, const TargetPathOptions& options, MetricRegistry* registry,
    const std::shared_ptr<Cancellation>& cancellation) {
  if (!NeedsTeacher(spec.losses())) return nullptr;
  if (options.servers.empty()) {
    return EmbeddedPath::Open(spec, options.cache_directory, registry, cancellation.get());
  }
  RemoteSourceOptions remote;
  remote.read_image = [root = DataRoot(spec.data())](const Locator& locator) {
    return ReadImageFile(root, locator);
  };
  remote.read_label = PlanLabelReader(spec.data());
  REFLUX_ASSIGN_OR_RETURN(auto source, ConnectServers(options.servers, remote, registry, "worker"));
  // Fresh views are never stored; of several servers each has a part of the targets.
  const bool direct = spec.targets().read() != "server" && spec.targets().views() != "live" &&
                      IsSingleServer(options.servers);
  if (direct) {
    DirectSourceOptions folder;
    folder.endpoint = options.servers;
    source =
        MakeDirectSource(std::move(source), folder,
                         registry != nullptr ? DirectSourceMetrics::Register(*registry, "worker")
                                             : DirectSourceMetrics{});
  }
  remote.discard = true;
  REFLUX_ASSIGN_OR_RETURN(auto storing, ConnectServers(options.servers, remote, nullptr, "worker"));
  return std::make_unique<RemotePath>(std::move(source), std::move(storing),
                                      MakeRemoteNotes(options.servers));
}

}  // namespace reflux
