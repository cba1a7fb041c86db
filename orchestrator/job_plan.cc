#include "orchestrator/job_plan.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <fstream>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/digest.h"
#include "common/base/file.h"
#include "common/base/status_macros.h"
#include "common/spec/job_teachers.h"

namespace reflux {
namespace {

std::string CacheName(const v1::JobSpec& spec) {
  return spec.targets().cache().empty() ? "default" : spec.targets().cache();
}

int Teachers(const v1::JobSpec& spec) {
  return spec.run().has_teachers() ? spec.run().teachers() : 1;
}

int Caches(const v1::JobSpec& spec) { return spec.run().has_caches() ? spec.run().caches() : 1; }

std::string Hash(const std::vector<std::string>& fields) {
  Sha256 hash;
  for (const std::string& field : fields) hash.Update(absl::StrCat(field.size(), ":", field));
  return hash.Finish().Hex();
}

absl::StatusOr<std::string> HashFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return ErrnoStatus(errno, "cannot open", path);
  Sha256 hash;
  std::string block(1 << 20, '\0');
  while (file.read(block.data(), block.size()) || file.gcount() > 0) {
    hash.Update(absl::string_view(block.data(), file.gcount()));
  }
  if (!file.eof()) return absl::InternalError(absl::StrCat("cannot read ", path));
  return hash.Finish().Hex();
}

// Where a teacher reads images, and what it is measured on before it serves.
std::string DataOfTeacher(v1::DataSpec data) {
  for (auto clear :
       {&v1::DataSpec::clear_train_split, &v1::DataSpec::clear_crop, &v1::DataSpec::clear_scale,
        &v1::DataSpec::clear_flip, &v1::DataSpec::clear_view_seed, &v1::DataSpec::clear_padding,
        &v1::DataSpec::clear_scaled_decode, &v1::DataSpec::clear_max_train_images,
        &v1::DataSpec::clear_decoded_mib}) {
    (data.*clear)();
  }
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  data.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

// What the roles of a teacher's processes begin with.
std::string PoolRole(const v1::JobSpec& spec, const std::string& name,
                     const std::string& teacher_id) {
  std::vector<std::string> fields = {"pool", teacher_id, spec.teachers().at(name).device(),
                                     DataOfTeacher(spec.data())};
  for (const std::string& network : NetworksOf(spec, name)) {
    const v1::TeacherSpec& teacher = spec.teachers().at(network);
    fields.push_back(absl::StrCat(teacher.has_expect_miou(), teacher.expect_miou()));
  }
  return absl::StrCat("teacher/", Hash(fields).substr(0, 8));
}

// What every service is told.
std::vector<std::string> CommonArguments(const std::string& role, const StateLayout& state) {
  return {
      "--listen",         "127.0.0.1:0", "--endpoint-file", state.Endpoint(role),
      "--metrics-listen", "127.0.0.1:0", "--orchestrator",  "@" + state.Endpoint("orchestrator"),
      "--role",           role};
}

ServicePlan PlanTeacher(const std::string& name, const std::string& role,
                        const StateLayout& state) {
  ServicePlan plan = {.role = role, .program = "reflux-teacher"};
  plan.arguments = {"--job",        StateLayout::SpecFile(state.Service(role)),
                    "--teacher",    name,
                    "--canary-dir", state.Canaries()};
  for (std::string& argument : CommonArguments(role, state)) plan.arguments.push_back(argument);
  return plan;
}

// Who answers for the pool: the folder that its processes publish in.
std::string PoolEndpoint(const std::string& pool_role, const StateLayout& state) {
  return absl::StrCat("@", state.Endpoint(pool_role), "/");
}

// A folder of its own, or the store that all share.
std::vector<std::string> StoreArguments(const std::string& name, const std::string& short_id,
                                        const std::string& suffix, const StateLayout& state,
                                        const CacheSite& site) {
  if (site.store.empty()) return {"--dir", state.Cache(name, short_id + suffix)};
  std::vector<std::string> arguments = {"--store",
                                        absl::StrCat(site.store, "/", name, ".", short_id)};
  if (!site.ceph_conf.empty()) arguments.insert(arguments.end(), {"--ceph-conf", site.ceph_conf});
  if (!site.ceph_user.empty()) arguments.insert(arguments.end(), {"--ceph-user", site.ceph_user});
  return arguments;
}

// `number`: among the cache servers of a job.
ServicePlan PlanCache(const std::string& name, int number, const std::string& teacher_id,
                      const std::string& pool_role, const StateLayout& state,
                      const CacheSite& site) {
  const std::string short_id = teacher_id.substr(0, 8);
  const std::string suffix = number == 0 ? "" : absl::StrCat(".", number);
  ServicePlan plan = {.role = absl::StrCat("cache/", name, "/", short_id, suffix),
                      .program = "reflux-cache"};
  plan.arguments = StoreArguments(name, short_id, suffix, state, site);
  plan.arguments.insert(plan.arguments.end(), {"--teacher", PoolEndpoint(pool_role, state)});
  if (site.capacity_gib > 0) {
    plan.arguments.insert(plan.arguments.end(),
                          {"--capacity-gib", absl::StrCat(site.capacity_gib)});
  }
  for (std::string& argument : CommonArguments(plan.role, state)) {
    plan.arguments.push_back(argument);
  }
  return plan;
}

absl::StatusOr<std::string> TeacherId(const v1::JobSpec& spec, const std::string& name) {
  const v1::TeacherSpec& teacher = spec.teachers().at(name);
  std::vector<std::string> fields = {teacher.numerics(), absl::StrCat(teacher.threads()),
                                     absl::StrCat(teacher.batch()), teacher.compute()};
  for (const std::string& network : NetworksOf(spec, name)) {
    const v1::TeacherSpec& part = spec.teachers().at(network);
    const absl::StatusOr<std::string> checkpoint = HashFile(part.checkpoint());
    if (!checkpoint.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("teachers.", network, ".checkpoint: ", checkpoint.status().message()));
    }
    fields.push_back(*checkpoint);
    fields.push_back(part.layout());
    fields.push_back(absl::StrJoin(part.classes(), ","));
  }
  return Hash(fields);
}

// The pool of one teacher and the caches before it. Returns the endpoint that answers for them.
std::string PlanTargets(const v1::JobSpec& spec, const std::string& name,
                        const std::string& teacher_id, const StateLayout& state,
                        const CacheSite& site, std::vector<ServicePlan>& services) {
  const std::string pool = PoolRole(spec, name, teacher_id);
  const int teachers = Teachers(spec);
  for (int i = 0; i < teachers; ++i) {
    services.push_back(PlanTeacher(name, absl::StrCat(pool, "/", i), state));
  }
  if (CacheName(spec) == "none") return PoolEndpoint(pool, state);
  std::vector<std::string> endpoints;
  for (int number = 0; number < Caches(spec); ++number) {
    ServicePlan cache = PlanCache(CacheName(spec), number, teacher_id, pool, state, site);
    if (teachers > 0) cache.upstream = absl::StrCat(pool, "/0");
    endpoints.push_back("@" + state.Endpoint(cache.role));
    services.push_back(std::move(cache));
  }
  return absl::StrJoin(endpoints, ",");
}

}  // namespace

absl::StatusOr<TeacherIds> IdentifyTeachers(const v1::JobSpec& spec) {
  TeacherIds ids;
  for (const std::string& name : UsedTeachers(spec)) {
    REFLUX_ASSIGN_OR_RETURN(ids[name], TeacherId(spec, name));
  }
  return ids;
}

JobPlan PlanJob(const v1::JobSpec& spec, const TeacherIds& teacher_ids, const StateLayout& state,
                const CacheSite& site) {
  JobPlan plan;
  for (const auto& [name, id] : teacher_ids) {
    const std::string endpoint = PlanTargets(spec, name, id, state, site, plan.services);
    plan.targets.push_back(absl::StrCat(name, "=", endpoint));
  }
  return plan;
}

std::string WorkerLaunchId(const std::string& job_id, int generation, int rank) {
  return absl::StrCat(job_id, ".g", generation, ".r", rank);
}

LaunchSpec WorkerLaunch(const store::JobRecord& job, const JobPlan& plan, int rank,
                        const StateLayout& state, const std::string& bin_dir) {
  const store::JobStatus& status = job.status();
  LaunchSpec launch = {.launch_id = WorkerLaunchId(job.job_id(), status.generation(), rank),
                       .record_dir = StateLayout::ProcessDir(job.directory()),
                       .log_file = StateLayout::LogFile(
                           job.directory(), absl::StrCat("worker/", rank), status.generation()),
                       .program = bin_dir + "/reflux-worker"};
  launch.arguments = {"--job",
                      StateLayout::SpecFile(job.directory()),
                      "--dir",
                      job.directory(),
                      "--rank",
                      absl::StrCat(rank),
                      "--world-size",
                      absl::StrCat(status.world_size()),
                      "--generation",
                      absl::StrCat(status.generation()),
                      "--job-id",
                      job.job_id(),
                      "--orchestrator",
                      "@" + state.Endpoint("orchestrator"),
                      "--launch-id",
                      launch.launch_id,
                      "--metrics-listen",
                      "127.0.0.1:0"};
  for (const std::string& endpoint : plan.targets) {
    launch.arguments.push_back("--targets");
    launch.arguments.push_back(endpoint);
  }
  return launch;
}

}  // namespace reflux
