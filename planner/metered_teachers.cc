#include "planner/metered_teachers.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cache/inventory.h"
#include "common/base/status_macros.h"
#include "common/spec/job_teachers.h"
#include "distill/data/dataset.h"
#include "job_plan/data_plan.h"
#include "job_plan/device_plan.h"
#include "job_plan/open_teacher.h"
#include "planner/codec_measure.h"
#include "planner/fill.h"

namespace reflux {
namespace {

constexpr size_t kCodecSamples = 4;

// Sizes of what is delivered.
class SizeSink : public TargetSink {
 public:
  SizeSink(const std::string& teacher, const TargetRequest& request, ViewCosts& costs)
      : request_(request), costs_(costs) {
    for (const TargetSpec& spec : request.specs)
      taps_.push_back({.teacher = teacher, .spec = spec});
  }
  void Deliver(size_t sample, size_t spec, absl::StatusOr<EncodedTarget> target) override {
    if (!target.ok()) {
      status_ = target.status();
      return;
    }
    const auto bytes = static_cast<double>(target->bytes.size());
    taps_[spec].shape = target->shape;
    taps_[spec].bytes += bytes / static_cast<double>(request_.samples.size());
    costs_.AddBytes(request_.teacher, request_.specs[spec], request_.samples[sample].view, bytes);
  }
  absl::StatusOr<std::vector<PlanTap>> Taps() {
    REFLUX_RETURN_IF_ERROR(status_);
    return taps_;
  }

 private:
  const TargetRequest& request_;
  ViewCosts& costs_;
  std::vector<PlanTap> taps_;
  absl::Status status_;
};

TargetRequest RequestOf(const TeacherNeeds& teacher, const JobNeeds& needs, size_t samples) {
  TargetRequest request{
      .teacher = teacher.info.identity, .samples = needs.samples, .specs = teacher.specs};
  request.samples.resize(std::min(request.samples.size(), samples));
  return request;
}

RocksTargetStoreOptions StoreOptions(const std::string& folder) {
  return {.directory = folder, .min_free_disk_bytes = 0};
}

}  // namespace

absl::StatusOr<std::unique_ptr<MeteredTeachers>> MeteredTeachers::Open(const v1::JobSpec& spec,
                                                                       const std::string& scratch) {
  OpenTeacherOptions options{.evaluate = false};
  options.read_image = [root = DataRoot(spec.data())](const Locator& locator) {
    return ReadImageFile(root, locator);
  };
  options.read_label = PlanLabelReader(spec.data());
  const std::set<std::string> names = UsedTeachers(spec);
  // All before the first computes: one on the CPU would hide the GPU from the next (PlanDevice).
  for (const std::string& name : names) {
    REFLUX_RETURN_IF_ERROR(PlanDevice(spec.teachers().at(name).device()).status());
  }
  auto metered = std::make_unique<MeteredTeachers>();
  for (const std::string& name : names) {
    Metered& teacher = metered->teachers_[name];
    teacher.folder = absl::StrCat(scratch, "/cache-", name);
    REFLUX_ASSIGN_OR_RETURN(OpenedTeacher opened, OpenTeacher(spec, name, options));
    teacher.local = std::move(opened.source);
    REFLUX_ASSIGN_OR_RETURN(teacher.store, RocksTargetStore::Open(StoreOptions(teacher.folder)));
    teacher.caching = MakeCachingSource(*teacher.store, *teacher.local);
  }
  return metered;
}

absl::StatusOr<TeacherInfo> MeteredTeachers::Describe(const std::string& name) {
  return teachers_.at(name).caching->GetTeacherInfo({});
}

std::map<std::string, TeacherAccess> MeteredTeachers::sources() {
  std::map<std::string, TeacherAccess> sources;
  for (const auto& [name, teacher] : teachers_) sources[name] = {.source = teacher.caching.get()};
  return sources;
}

absl::StatusOr<std::vector<TeacherMeasure>> MeteredTeachers::TimeAlone(
    const JobNeeds& needs, const std::shared_ptr<Cancellation>& stop) {
  std::vector<TeacherMeasure> measures;
  const FillOptions options{.stop = stop};
  for (const TeacherNeeds& teacher : needs.teachers) {
    const Metered& metered = teachers_.at(teacher.name);
    const auto inventory = MakeStoreInventory(*metered.store);
    REFLUX_ASSIGN_OR_RETURN(const FillReport report, Fill(teacher, needs.samples, *inventory,
                                                          metered.caching->storing(), options));
    if (report.stopped) return absl::CancelledError("stopped before everything was measured");
    TeacherMeasure measure{.name = teacher.name, .identity = teacher.info.identity};
    if (report.stored > 0) {
      measure.view_seconds = report.seconds / static_cast<double>(report.stored) *
                             static_cast<double>(teacher.specs.size());
    }
    measures.push_back(std::move(measure));
  }
  return measures;
}

absl::StatusOr<std::vector<PlanTap>> MeteredTeachers::MeasureSizes(const JobNeeds& needs,
                                                                   ViewCosts& costs) {
  std::vector<PlanTap> all;
  for (const TeacherNeeds& teacher : needs.teachers) {
    const TargetRequest request = RequestOf(teacher, needs, size_t{TargetRequest::kMaxSamples});
    SizeSink sizes(teacher.name, request, costs);
    REFLUX_RETURN_IF_ERROR(teachers_.at(teacher.name).caching->Fetch({}, request, sizes));
    REFLUX_ASSIGN_OR_RETURN(const std::vector<PlanTap> taps, sizes.Taps());
    all.insert(all.end(), taps.begin(), taps.end());
  }
  return all;
}

absl::StatusOr<std::vector<CodecMeasure>> MeteredTeachers::MeasureCodecs(
    const JobNeeds& needs, const std::string& current) {
  std::vector<CodecRequest> requests;
  for (const TeacherNeeds& teacher : needs.teachers) {
    requests.push_back(
        {RequestOf(teacher, needs, kCodecSamples), teachers_.at(teacher.name).local.get()});
  }
  return reflux::MeasureCodecs(std::move(requests), current);
}

absl::StatusOr<TargetEndpoints> MeteredTeachers::Serve() {
  TargetEndpoints endpoints;
  for (auto& [name, teacher] : teachers_) {
    teacher.caching.reset();
    teacher.store.reset();  // a folder has one owner
    REFLUX_ASSIGN_OR_RETURN(teacher.server,
                            CacheServer::Start({.store = StoreOptions(teacher.folder)}, nullptr));
    endpoints[name] = teacher.server->address();
  }
  return endpoints;
}

}  // namespace reflux
