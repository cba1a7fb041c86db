#include "distill/evaluation/view_comparison.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/base/status_macros.h"
#include "distill/codec/target_codec.h"
#include "distill/data/derived_map.h"
#include "distill/evaluation/confusion_matrix.h"
#include "distill/evaluation/evaluate.h"

namespace reflux {
namespace {

using torch::Tensor;

constexpr char kLogits[] = "logits";

View DrawKind(const ViewComparisonOptions& options, const Digest& digest, int32_t height,
              int32_t width, int64_t number) {
  ViewPolicy policy = options.policy;
  if (options.kind == ViewKind::kCrop) {
    policy.min_scale = policy.max_scale = 1;
    policy.flip = false;
    policy.decode_shrink = 1;
  }
  const View drawn = DrawView(policy, options.view_seed, digest, height, width, number);
  if (options.kind == ViewKind::kScale) {
    View scaled = WholeView(drawn.resized_height, drawn.resized_width);
    scaled.decode_shrink = drawn.decode_shrink;
    return scaled;
  }
  if (options.kind != ViewKind::kFlip) return drawn;
  View mirrored = WholeView(height, width);
  mirrored.flip = true;
  return mirrored;
}

// Keeps every delivered map, decoded.
class MapSink : public TargetSink {
 public:
  void Deliver(size_t sample, size_t spec, absl::StatusOr<EncodedTarget> target) override {
    if (!status_.ok()) return;
    status_ = target.status();
    if (!target.ok()) return;
    Tensor map = torch::empty({target->shape[0], target->shape[1], target->shape[2]});
    status_ = DecodeMapInto(*target, map);
    maps_[{sample, spec}] = std::move(map);
  }
  const absl::Status& status() const { return status_; }
  const Tensor& map(size_t sample, size_t spec) const { return maps_.at({sample, spec}); }

 private:
  absl::Status status_;
  std::map<std::pair<size_t, size_t>, Tensor> maps_;
};

// [h,w] bool: positions inside the image.
Tensor InsideOf(const DerivedGrid& grid) {
  const auto inside = [](const DerivedAxis& axis) {
    Tensor flags = torch::empty({static_cast<int64_t>(axis.places.size())}, torch::kBool);
    for (size_t i = 0; i < axis.places.size(); ++i)
      flags.data_ptr<bool>()[i] = axis.places[i].inside;
    return flags;
  };
  return inside(grid.rows).unsqueeze(1) & inside(grid.columns).unsqueeze(0);
}

class Comparison {
 public:
  Comparison(TargetSource& source, const TeacherInfo& teacher, const Dataset& dataset,
             const ViewComparisonOptions& options,
             const std::shared_ptr<Cancellation>& cancellation)
      : source_(source),
        teacher_(teacher),
        dataset_(dataset),
        options_(options),
        cancellation_(cancellation),
        live_(teacher.num_classes),
        derived_(teacher.num_classes) {}

  absl::StatusOr<ViewComparison> Run();

 private:
  // One view of an image: places of the whole view's and its own sample in the request.
  struct Pair {
    size_t whole, live;
    Tensor label;  // [H,W]
  };
  absl::Status ListSpecs();
  absl::Status AddImage(int64_t index);
  absl::Status Flush();
  absl::Status Compare(const Pair& pair, const MapSink& maps);
  void AddLogits(const Tensor& live, const Tensor& derived, const Tensor& inside,
                 TapDifference& difference);
  void AddMious(const Tensor& live, const Tensor& derived, const Tensor& label);

  TargetSource& source_;
  const TeacherInfo& teacher_;
  const Dataset& dataset_;
  const ViewComparisonOptions& options_;
  const std::shared_ptr<Cancellation>& cancellation_;
  std::vector<int32_t> strides_;  // of the request's specs
  TargetRequest request_;
  std::vector<Pair> pairs_;
  ViewComparison result_;
  ConfusionMatrix live_, derived_;
};

absl::Status Comparison::ListSpecs() {
  const Codec codec = options_.specs.empty() ? Codec::kFp32 : options_.specs.front().codec;
  std::vector<TargetSpec> specs = {{.tap = kLogits, .codec = codec}};
  for (const TargetSpec& spec : options_.specs) {
    if (spec.reduction != Reduction::kNone)
      return absl::InvalidArgumentError("views: a reduced map is not derived from another");
    if (spec.tap != kLogits) specs.push_back(spec);
  }
  for (const TargetSpec& spec : specs) {
    const auto tap = std::find_if(teacher_.taps.begin(), teacher_.taps.end(),
                                  [&](const auto& known) { return known.name == spec.tap; });
    if (tap == teacher_.taps.end() || tap->stride < 1)
      return absl::NotFoundError(absl::StrCat("views: the teacher has no tap '", spec.tap, "'"));
    strides_.push_back(tap->stride);
    result_.taps.push_back({.tap = spec.tap});
  }
  request_ = {.teacher = teacher_.identity, .specs = std::move(specs)};
  return absl::OkStatus();
}

absl::Status Comparison::AddImage(int64_t index) {
  REFLUX_ASSIGN_OR_RETURN(const LabelledImage image, ReadLabelledImage(dataset_, index));
  SampleRef sample{.digest = Sha256::Of(image.bytes), .locator = dataset_.samples()[index].image};
  const int32_t height = image.size.height, width = image.size.width;
  const size_t whole = request_.samples.size();
  sample.view = WholeViewOf(options_.policy, height, width);
  request_.samples.push_back(sample);
  for (int64_t number = 0; number < options_.views; ++number) {
    sample.view = DrawKind(options_, sample.digest, height, width, number);
    Tensor label = torch::empty({sample.view.crop_height, sample.view.crop_width}, torch::kInt64);
    ApplyViewToLabel(image.label, sample.view, dataset_.ignore_index(), label.data_ptr<int64_t>());
    pairs_.push_back({whole, request_.samples.size(), std::move(label)});
    request_.samples.push_back(sample);
  }
  ++result_.images;
  return absl::OkStatus();
}

absl::Status Comparison::Flush() {
  if (pairs_.empty()) return absl::OkStatus();
  MapSink maps;
  REFLUX_RETURN_IF_ERROR(source_.Fetch(
      {.deadline = absl::Now() + options_.timeout, .cancellation = cancellation_}, request_, maps));
  REFLUX_RETURN_IF_ERROR(maps.status());
  for (const Pair& pair : pairs_) REFLUX_RETURN_IF_ERROR(Compare(pair, maps));
  request_.samples.clear();
  pairs_.clear();
  return absl::OkStatus();
}

absl::Status Comparison::Compare(const Pair& pair, const MapSink& maps) {
  const View &whole_view = request_.samples[pair.whole].view,
             &view = request_.samples[pair.live].view;
  for (size_t i = 0; i < request_.specs.size(); ++i) {
    const Tensor &whole = maps.map(pair.whole, i), &live = maps.map(pair.live, i);
    const DerivedGrid grid = DeriveGrid(view, whole_view, strides_[i]);
    Tensor derived = torch::empty({live.size(0), static_cast<int64_t>(grid.rows.places.size()),
                                   static_cast<int64_t>(grid.columns.places.size())});
    if (derived.sizes() != live.sizes()) {
      return absl::InvalidArgumentError(absl::StrCat("views: the maps of ", request_.specs[i].tap,
                                                     " have not the size that the tap's stride "
                                                     "means: use replay"));
    }
    REFLUX_RETURN_IF_ERROR(
        DeriveMap(whole.data_ptr<float>(),
                  {static_cast<int32_t>(whole.size(0)), static_cast<int32_t>(whole.size(1)),
                   static_cast<int32_t>(whole.size(2))},
                  grid, derived.data_ptr<float>()));
    const Tensor inside = InsideOf(grid);
    TapDifference& difference = result_.taps[i];
    difference.positions += inside.sum().item<int64_t>();
    difference.cosine +=
        (torch::cosine_similarity(live, derived, 0, 1e-12) * inside).sum().item<double>();
    if (request_.specs[i].tap != kLogits) continue;
    AddLogits(live, derived, inside, difference);
    AddMious(live, torch::where(inside, derived, live), pair.label);
  }
  ++result_.views;
  return absl::OkStatus();
}

void Comparison::AddLogits(const Tensor& live, const Tensor& derived, const Tensor& inside,
                           TapDifference& difference) {
  const Tensor log_live = torch::log_softmax(live, 0), log_derived = torch::log_softmax(derived, 0);
  const Tensor kl = (log_live.exp() * (log_live - log_derived)).sum(0);
  difference.kl = std::max(difference.kl, 0.0) + (kl * inside).sum().item<double>();
  difference.agreement = std::max(difference.agreement, 0.0) +
                         (live.argmax(0).eq(derived.argmax(0)) & inside).sum().item<double>();
}

void Comparison::AddMious(const Tensor& live, const Tensor& derived, const Tensor& label) {
  const auto add = [&](ConfusionMatrix& matrix, const Tensor& logits) {
    matrix.Add(PredictedClasses(logits.unsqueeze(0), label.size(0), label.size(1),
                                /*align_corners=*/true),
               label.unsqueeze(0), dataset_.ignore_index());
  };
  add(live_, live);
  add(derived_, derived);
}

absl::StatusOr<ViewComparison> Comparison::Run() {
  const torch::NoGradGuard no_gradients;
  if (dataset_.task() != Task::kSegmentation)
    return absl::FailedPreconditionError("views: only maps of segmentation networks are derived");
  if (teacher_.num_classes != static_cast<int32_t>(dataset_.class_names().size())) {
    return absl::FailedPreconditionError(
        absl::StrCat("views: the teacher has ", teacher_.num_classes, " classes, the data set ",
                     dataset_.class_names().size()));
  }
  REFLUX_RETURN_IF_ERROR(ListSpecs());
  // Whole images and views of as many images as fill a forward.
  const int64_t together = std::max(1, teacher_.identity.numerics.batch);
  const auto end = std::min<int64_t>(options_.images, dataset_.samples().size());
  for (int64_t i = 0; i < end; ++i) {
    REFLUX_RETURN_IF_ERROR(AddImage(i));
    if ((i + 1) % together == 0) REFLUX_RETURN_IF_ERROR(Flush());
  }
  REFLUX_RETURN_IF_ERROR(Flush());
  if (live_.counts().sum().item<int64_t>() == 0)
    return absl::FailedPreconditionError("views: none of the compared pixels has a label");
  for (TapDifference& tap : result_.taps) {
    const double positions = static_cast<double>(std::max<int64_t>(tap.positions, 1));
    tap.cosine /= positions;
    if (tap.tap == kLogits) tap.kl /= positions, tap.agreement /= positions;
  }
  result_.live_miou = 100 * live_.MeanIou();
  result_.derived_miou = 100 * derived_.MeanIou();
  return result_;
}

}  // namespace

std::string Name(ViewKind kind) {
  switch (kind) {
    case ViewKind::kCrop:
      return "crop";
    case ViewKind::kFlip:
      return "flip";
    case ViewKind::kScale:
      return "scale";
    case ViewKind::kAll:
      break;
  }
  return "all";
}

absl::StatusOr<ViewComparison> CompareViews(TargetSource& source, const TeacherInfo& teacher,
                                            const Dataset& dataset,
                                            const ViewComparisonOptions& options,
                                            const std::shared_ptr<Cancellation>& cancellation) {
  return Comparison(source, teacher, dataset, options, cancellation).Run();
}

std::string Describe(const ViewComparison& comparison) {
  std::string text = absl::StrFormat(
      "teacher's mIoU %.1f live, %.1f derived (%d views of %d images)", comparison.live_miou,
      comparison.derived_miou, comparison.views, comparison.images);
  for (const TapDifference& tap : comparison.taps) {
    absl::StrAppendFormat(&text, "; %s cosine %.3f", tap.tap, tap.cosine);
    if (tap.kl >= 0)
      absl::StrAppendFormat(&text, ", KL %.3f, same class %.3f", tap.kl, tap.agreement);
  }
  return text;
}

}  // namespace reflux
