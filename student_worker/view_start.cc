#include "student_worker/view_start.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/file.h"
#include "common/base/status_macros.h"
#include "distill/data/label_file.h"
#include "distill/data/manifest.h"
#include "job_plan/data_plan.h"
#include "job_plan/view_notes.h"

namespace reflux {
namespace {

constexpr double kAnyLoss = 100;  // points of mIoU: nothing could exceed it
constexpr int64_t kMaxChoiceBytes = 256;

std::string ChoiceFile(const ViewStartOptions& options) { return options.directory + "/views.txt"; }

// The digests of what is compared, so that figures of other images are not taken for these.
absl::StatusOr<std::vector<Digest>> ComparedDigests(const ViewStartOptions& options,
                                                    int64_t images) {
  const std::string manifests = options.directory + "/manifests";
  REFLUX_ASSIGN_OR_RETURN(std::vector<Digest> digests,
                          SampleDigests(options.val, manifests, {.stop = options.stop.get()}));
  REFLUX_ASSIGN_OR_RETURN(std::vector<Digest> labels,
                          LabelDigests(options.val, manifests, {.stop = options.stop.get()}));
  digests.resize(std::min<size_t>(digests.size(), images));
  labels.resize(digests.size());
  digests.insert(digests.end(), labels.begin(), labels.end());
  return digests;
}

absl::StatusOr<ViewComparison> Compare(const ViewStartOptions& options, const ViewPolicy& policy) {
  const ViewComparisonOptions comparison{
      .policy = policy, .view_seed = options.spec.data().view_seed(), .specs = options.specs};
  REFLUX_ASSIGN_OR_RETURN(const std::vector<Digest> compared,
                          ComparedDigests(options, comparison.images));
  const std::string name =
      ViewNoteName(options.teacher.identity, options.val.format(), comparison, compared);
  if (options.notes != nullptr) {
    const absl::StatusOr<std::string> note = options.notes->Get(name);
    if (note.ok()) {
      absl::StatusOr<ViewComparison> known = DecodeViewNote(*note);
      if (known.ok()) return known;
    }
  }
  spdlog::info("views: comparing maps derived from whole images with live ones");
  REFLUX_ASSIGN_OR_RETURN(
      ViewComparison measured,
      CompareViews(options.source, options.teacher, options.val, comparison, options.stop));
  if (options.notes != nullptr) {
    const absl::Status kept = options.notes->Keep(
        name, EncodeViewNote(measured, options.val.format(), comparison, absl::Now()));
    if (!kept.ok()) spdlog::info("views: the comparison is not kept: {}", kept.ToString());
  }
  return measured;
}

absl::StatusOr<ViewFacts> FactsOf(const ViewStartOptions& options, const ViewPolicy& policy) {
  const auto images = static_cast<int64_t>(options.train.samples().size());
  ViewFacts facts{.images = images,
                  .draws = static_cast<double>(options.total_steps) *
                           options.spec.train().global_batch() / static_cast<double>(images),
                  .cached = options.spec.targets().cache() != "none" && options.notes != nullptr,
                  .tolerance = options.spec.targets().whole_tolerance()};
  REFLUX_ASSIGN_OR_RETURN(const LabelledImage first, ReadLabelledImage(options.train, 0));
  const View whole = WholeViewOf(policy, first.size.height, first.size.width);
  facts.bytes_of_whole =
      BytesOfView(options.specs, options.teacher, whole.crop_height, whole.crop_width);
  facts.bytes_of_view =
      BytesOfView(options.specs, options.teacher, policy.crop_height, policy.crop_width);
  if (options.notes == nullptr) return facts;
  const absl::StatusOr<int64_t> free = options.notes->FreeBytes();
  if (free.ok()) facts.free_bytes = *free;
  return facts;
}

absl::StatusOr<ViewDecision> Choose(const ViewStartOptions& options, ViewPolicy policy) {
  if (const auto kept = ReadFile(ChoiceFile(options), kMaxChoiceBytes); kept.ok()) {
    REFLUX_ASSIGN_OR_RETURN(const ViewChoice choice, ParseViews(absl::StripAsciiWhitespace(*kept)));
    return ViewDecision{choice, "as when the run began"};
  }
  policy.whole = true;
  REFLUX_ASSIGN_OR_RETURN(const ViewFacts facts, FactsOf(options, policy));
  absl::StatusOr<ViewComparison> comparison = absl::UnknownError("not measured");
  if (facts.cached && facts.draws >= 2) comparison = Compare(options, policy);
  if (absl::IsCancelled(comparison.status())) return comparison.status();
  const ViewDecision decision = ChooseViews(facts, comparison);
  if (options.keep_choice) {
    std::error_code error;  // writing says it better
    std::filesystem::create_directories(options.directory, error);
    REFLUX_RETURN_IF_ERROR(
        WriteFileAtomically(ChoiceFile(options), absl::StrCat(decision.choice.ToString(), "\n")));
  }
  return decision;
}

}  // namespace

absl::StatusOr<ViewDecision> DecideViews(const ViewStartOptions& options) {
  REFLUX_ASSIGN_OR_RETURN(const ViewPolicy policy, PlanViews(options.spec));
  if (policy.automatic) return Choose(options, policy);
  REFLUX_ASSIGN_OR_RETURN(const ViewChoice choice, ParseViews(options.spec.targets().views()));
  if (options.spec.targets().whole_tolerance() >= kAnyLoss)
    return ViewDecision{choice, "whatever the teacher loses by it"};
  REFLUX_ASSIGN_OR_RETURN(const ViewFacts facts, FactsOf(options, policy));
  REFLUX_ASSIGN_OR_RETURN(const ViewComparison comparison, Compare(options, policy));
  REFLUX_RETURN_IF_ERROR(CheckWhole(facts, comparison));
  return ViewDecision{choice, Describe(comparison)};
}

}  // namespace reflux
