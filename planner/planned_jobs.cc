#include "planner/planned_jobs.h"

#include <google/protobuf/util/message_differencer.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/spec/job_teachers.h"
#include "planner/hashing_bar.h"
#include "planner/teacher_needs.h"

namespace reflux {
namespace {

using google::protobuf::util::MessageDifferencer;

// What decides which teachers answer for which images, and where their targets go: not which views
// are taken.
v1::JobSpec PlaceOf(const v1::JobSpec& spec) {
  v1::JobSpec place;
  *place.mutable_data() = spec.data();
  place.mutable_data()->clear_crop();
  place.mutable_data()->clear_scale();
  place.mutable_data()->clear_flip();
  place.mutable_data()->clear_padding();
  place.mutable_data()->clear_scaled_decode();
  place.mutable_data()->clear_view_seed();
  for (const std::string& name : UsedTeachers(spec)) {
    (*place.mutable_teachers())[name] = spec.teachers().at(name);
    for (const std::string& network : NetworksOf(spec, name)) {
      (*place.mutable_teachers())[network] = spec.teachers().at(network);
    }
  }
  place.mutable_targets()->set_cache(spec.targets().cache());
  return place;
}

size_t FindPlace(const v1::JobSpec& spec, const std::vector<PlannedJob>& jobs) {
  for (size_t i = 0; i < jobs.size(); ++i) {
    if (UsedTeachers(jobs[i].spec) == UsedTeachers(spec) &&
        MessageDifferencer::Equals(PlaceOf(jobs[i].spec), PlaceOf(spec))) {
      return i;
    }
  }
  return jobs.size();
}

class Planning {
 public:
  Planning(const JobFile& file, const PlannerFlags& flags, const Cancellation* stop)
      : file_(file), flags_(flags), stop_(stop) {
    planned_.name = file.name;
    planned_.sweep = file.sweep;
  }
  absl::StatusOr<PlannedJobs> Run(bool suppose_cached);

 private:
  absl::Status OpenInventories();
  absl::Status AddJob(const SweepJob& job, bool needs_nothing);
  absl::StatusOr<JobNeeds> NeedsOf(const v1::JobSpec& spec);
  absl::Status AddNeeds(const JobNeeds& needs, PlannedJob& planned);
  absl::StatusOr<TeacherInfo> Describe(const std::string& name, const v1::JobSpec& spec);

  const JobFile& file_;
  const PlannerFlags& flags_;
  const Cancellation* const stop_;
  PlannedJobs planned_;
  Inventories inventories_;
  NeedsUnion needs_;
  HashingBar hashing_;
  std::map<std::pair<size_t, std::string>, TeacherInfo> described_;  // by place and name
};

// First what fails at once.
absl::Status Planning::OpenInventories() {
  for (const SweepJob& job : file_.jobs) {
    REFLUX_ASSIGN_OR_RETURN(const ServersOf servers, ServersOfTeachers(flags_, job.spec));
    for (const auto& [teacher, of_teacher] : servers) {
      if (inventories_.count(of_teacher) > 0) continue;
      REFLUX_ASSIGN_OR_RETURN(inventories_[of_teacher], OpenInventory(of_teacher, file_, flags_));
      REFLUX_ASSIGN_OR_RETURN(const StoreStats stats, inventories_[of_teacher]->Stats());
      if (of_teacher.empty()) continue;
      planned_.free_in_servers =
          planned_.free_in_servers.value_or(0) + static_cast<double>(stats.room_bytes());
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<TeacherInfo> Planning::Describe(const std::string& name, const v1::JobSpec& spec) {
  const size_t place = FindPlace(spec, planned_.jobs);
  const auto known = described_.find({place, name});
  if (known != described_.end()) return known->second;
  REFLUX_ASSIGN_OR_RETURN(TeacherInfo info, ReadTeacherInfo(name, spec));
  return described_[{place, name}] = std::move(info);
}

absl::Status Planning::AddJob(const SweepJob& job, bool needs_nothing) {
  PlannedJob planned{
      .variant = job.variant, .spec = job.spec, .place = FindPlace(job.spec, planned_.jobs)};
  if (!needs_nothing) {
    REFLUX_ASSIGN_OR_RETURN(const JobNeeds needs, NeedsOf(job.spec));
    planned.images = needs.images;
    planned.steps = needs.steps;
    planned.views = static_cast<int64_t>(needs.samples.size());
    REFLUX_RETURN_IF_ERROR(AddNeeds(needs, planned));
  }
  planned_.jobs.push_back(std::move(planned));
  return absl::OkStatus();
}

absl::StatusOr<JobNeeds> Planning::NeedsOf(const v1::JobSpec& spec) {
  const auto describe = [this](const std::string& name, const v1::JobSpec& job) {
    return Describe(name, job);
  };
  return PlanJobNeeds(spec, describe, ManifestFolder(flags_, file_.name), hashing_.Watch(stop_));
}

absl::Status Planning::AddNeeds(const JobNeeds& needs, PlannedJob& planned) {
  REFLUX_ASSIGN_OR_RETURN(const ServersOf servers, ServersOfTeachers(flags_, planned.spec));
  needs_.Add(planned.place, needs, servers);
  if (!file_.sweep) return absl::OkStatus();
  REFLUX_ASSIGN_OR_RETURN(const Coverage coverage,
                          MeasureCoverage(PartsOf(needs, servers), inventories_));
  planned.targets = coverage.targets();
  planned.held = coverage.held();
  return absl::OkStatus();
}

absl::StatusOr<PlannedJobs> Planning::Run(bool suppose_cached) {
  REFLUX_RETURN_IF_ERROR(OpenInventories());
  for (const SweepJob& job : file_.jobs) {
    const bool needs_nothing = !suppose_cached && !WhyUncached(job.spec).empty();
    const absl::Status status = AddJob(job, needs_nothing);
    if (status.ok()) continue;
    if (!file_.sweep) return status;
    return absl::Status(status.code(), absl::StrCat(job.spec.name(), ": ", status.message()));
  }
  hashing_.Finish();
  planned_.parts = needs_.Parts();
  REFLUX_ASSIGN_OR_RETURN(planned_.coverage, MeasureCoverage(planned_.parts, inventories_));
  return std::move(planned_);
}

}  // namespace

absl::StatusOr<PlannedJobs> PlanJobs(const JobFile& file, const PlannerFlags& flags,
                                     bool suppose_cached, const Cancellation* stop) {
  return Planning(file, flags, stop).Run(suppose_cached);
}

}  // namespace reflux
