#include "distill/teacher/local_source.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "distill/checkpoint/model_checkpoint.h"
#include "distill/codec/target_codec.h"
#include "distill/data/dataset.h"
#include "distill/data/label_file.h"
#include "distill/data/view.h"
#include "distill/models/placement.h"
#include "distill/teacher/reduce_map.h"
#include "distill/teacher/teacher_errors.h"
#include "distill/teacher/teacher_numerics.h"

namespace reflux {
namespace {

absl::Status CheckTaps(const SegmentationModel& model, const std::vector<std::string>& wanted) {
  std::vector<std::string> known;
  for (const TapInfo& tap : model.taps()) known.push_back(tap.name);
  for (const std::string& name : wanted) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return absl::NotFoundError(absl::StrCat("the teacher ", model.architecture(), " has no tap '",
                                              name, "'; it has: ", absl::StrJoin(known, ", ")));
    }
  }
  return absl::OkStatus();
}

// The one place where classes change their order: behind it everything, the evaluation and
// ensembles too, sees that of the data set. Both maps that have a channel for each class are
// concerned.
torch::Tensor InDataSetOrder(const Teacher& teacher, const std::string& tap, torch::Tensor map) {
  if (teacher.class_order.empty() || (tap != "logits" && tap != "aux")) return map;
  return map.index_select(1, torch::tensor(teacher.class_order, torch::kInt64).to(map.device()));
}

// One forward. `images` may be shorter than the padded batch.
TapOutputs Forward(const Teacher& teacher, torch::Tensor images,
                   const std::vector<std::string>& taps) {
  const Numerics& numerics = teacher.identity.numerics;
  const int64_t count = images.size(0);
  const ScopedTeacherNumerics scope(numerics, teacher.device);
  if (numerics.mode == NumericsMode::kExact && count < numerics.batch) {
    std::vector<int64_t> padding = images.sizes().vec();
    padding[0] = numerics.batch - count;
    images = torch::cat({images, torch::zeros(padding, images.options())});
  }
  images =
      images.to(teacher.device, WeightType(numerics)).contiguous(at::MemoryFormat::ChannelsLast);
  TapOutputs outputs = teacher.model->Forward(images, taps);
  TapOutputs result;
  for (const std::string& tap : taps) {
    torch::Tensor map = outputs.at(tap).narrow(0, 0, count).to(WeightType(numerics));
    result[tap] = InDataSetOrder(teacher, tap, std::move(map)).contiguous();
  }
  AwaitDevice(teacher.device);
  return result;
}

// Lets a number of threads pass at once.
class Slots {
 public:
  explicit Slots(int free) : free_(free) {}
  void Take() {
    MutexLock lock(mutex_);
    while (free_ == 0) returned_.Wait(mutex_);
    --free_;
  }
  void Return() {
    MutexLock lock(mutex_);
    ++free_;
    returned_.NotifyOne();
  }

 private:
  Mutex mutex_;
  CondVar returned_;
  int free_ REFLUX_GUARDED_BY(mutex_);
};

// Map `k` of a batch, reduced and encoded where it is.
absl::StatusOr<EncodedTarget> Encode(const torch::Tensor& maps, size_t k, const TargetSpec& spec,
                                     const MapLabel& label) {
  return CatchTeacherErrors("encoding", [&]() -> absl::StatusOr<EncodedTarget> {
    REFLUX_ASSIGN_OR_RETURN(const torch::Tensor reduced,
                            ReduceMap(maps[static_cast<int64_t>(k)], spec.reduction, label));
    return EncodeMap(reduced, spec.codec);
  });
}

class LocalSource : public TargetSource {
 public:
  LocalSource(Teacher teacher, ReadImageFn read_image, const LocalSourceOptions& options,
              const LocalSourceMetrics& metrics)
      : teacher_(std::move(teacher)),
        read_image_(std::move(read_image)),
        options_(options),
        metrics_(metrics),
        runners_(options.runners) {}

  absl::Status Fetch(const FetchContext& context, const TargetRequest& request,
                     TargetSink& sink) override;
  absl::StatusOr<TeacherInfo> GetTeacherInfo(const FetchContext& context) override;

 private:
  // Samples of one forward: their indices in the request, and the crop they share.
  struct Group {
    int32_t height, width;
    std::vector<size_t> samples;
    std::vector<torch::Tensor> images;
    std::vector<MapLabel> labels;
  };
  struct Loaded {
    torch::Tensor image;
    MapLabel label;
  };

  absl::StatusOr<Loaded> LoadSample(const SampleRef& sample, bool with_label) const;
  absl::StatusOr<MapLabel> LoadLabel(const SampleRef& sample, cv::Size size) const;
  absl::StatusOr<TapOutputs> ForwardGroup(const TargetRequest& request, const Group& group);
  void RunGroup(const TargetRequest& request, const Group& group, TargetSink& sink);

  const Teacher teacher_;
  const ReadImageFn read_image_;
  const LocalSourceOptions options_;
  LocalSourceMetrics metrics_;
  Slots runners_;
  std::atomic<int64_t> images_inferred_{0};
};

absl::Status LocalSource::Fetch(const FetchContext& context, const TargetRequest& request,
                                TargetSink& sink) {
  REFLUX_RETURN_IF_ERROR(request.Validate());
  if (request.teacher != teacher_.identity) {
    return absl::FailedPreconditionError(
        absl::StrCat("this is another teacher than the request wants: ",
                     DescribeDifference(teacher_.identity, request.teacher)));
  }
  std::vector<std::string> taps;
  bool with_labels = false;
  for (const TargetSpec& spec : request.specs) {
    taps.push_back(spec.tap);
    with_labels = with_labels || ReadsLabels(spec.reduction);
  }
  REFLUX_RETURN_IF_ERROR(CheckTaps(*teacher_.model, taps));
  REFLUX_RETURN_IF_ERROR(context.Check());

  const size_t batch = teacher_.identity.numerics.batch;
  std::map<std::pair<int32_t, int32_t>, Group> groups;
  for (size_t i = 0; i < request.samples.size(); ++i) {
    const SampleRef& sample = request.samples[i];
    absl::StatusOr<Loaded> loaded =
        CatchTeacherErrors("sample", [&] { return LoadSample(sample, with_labels); });
    if (!loaded.ok()) {
      metrics_.refused_samples.Increment();
      for (size_t j = 0; j < request.specs.size(); ++j) sink.Deliver(i, j, loaded.status());
      continue;
    }
    Group& group = groups[{sample.view.crop_height, sample.view.crop_width}];
    group.samples.push_back(i);
    group.images.push_back(std::move(loaded->image));
    group.labels.push_back(std::move(loaded->label));
    if (group.samples.size() == batch) {
      RunGroup(request, group, sink);
      group = {};
    }
  }
  for (const auto& [size, group] : groups) {
    if (!group.samples.empty()) RunGroup(request, group, sink);
  }
  return absl::OkStatus();
}

absl::StatusOr<LocalSource::Loaded> LocalSource::LoadSample(const SampleRef& sample,
                                                            bool with_label) const {
  std::shared_ptr<const std::string> bytes = sample.image;
  if (bytes == nullptr) {
    absl::StatusOr<std::string> read = read_image_(sample.locator);
    if (!read.ok()) return SampleNeededError(sample);
    bytes = std::make_shared<const std::string>(*std::move(read));
  }
  if (Sha256::Of(*bytes) != sample.digest) {
    if (sample.image == nullptr) return SampleNeededError(sample);
    return absl::InvalidArgumentError("the image's bytes do not match the sample's digest");
  }
  cv::Size size;
  REFLUX_ASSIGN_OR_RETURN(const cv::Mat decoded,
                          DecodeImage(*bytes, sample.view.decode_shrink, &size));
  Loaded loaded{.image = torch::empty({3, sample.view.crop_height, sample.view.crop_width})};
  ApplyView(decoded, sample.view, teacher_.identity.preprocessing, loaded.image.data_ptr<float>());
  if (with_label) {
    REFLUX_ASSIGN_OR_RETURN(loaded.label, LoadLabel(sample, size));
  }
  return loaded;
}

absl::StatusOr<MapLabel> LocalSource::LoadLabel(const SampleRef& sample, cv::Size size) const {
  std::shared_ptr<const LabelFile> file = sample.label;
  if (file == nullptr) {
    if (options_.read_label == nullptr) return SampleNeededError(sample);
    absl::StatusOr<LabelFile> read = options_.read_label(sample.locator);
    if (!read.ok()) return SampleNeededError(sample);
    file = std::make_shared<const LabelFile>(*std::move(read));
  }
  if (LabelDigest(*file) != sample.label_digest) {
    if (sample.label == nullptr) return SampleNeededError(sample);
    return absl::InvalidArgumentError("the label does not match the sample's label digest");
  }
  REFLUX_ASSIGN_OR_RETURN(const cv::Mat label, DecodeLabelFile(*file, size));
  const View& view = sample.view;
  MapLabel result{.classes = torch::empty({view.crop_height, view.crop_width}, torch::kInt64),
                  .num_classes = file->map->num_classes,
                  .ignore_index = file->map->ignore_index};
  ApplyViewToLabel(label, view, result.ignore_index, result.classes.data_ptr<int64_t>());
  return result;
}

absl::StatusOr<TapOutputs> LocalSource::ForwardGroup(const TargetRequest& request,
                                                     const Group& group) {
  std::vector<std::string> taps;
  for (const TargetSpec& spec : request.specs) taps.push_back(spec.tap);
  runners_.Take();
  const absl::Time start = absl::Now();
  absl::StatusOr<TapOutputs> outputs = CatchTeacherErrors(
      "batch", [&] { return RunTeacher(teacher_, torch::stack(group.images), taps); });
  metrics_.forward_seconds.Observe(absl::ToDoubleSeconds(absl::Now() - start));
  runners_.Return();
  const auto counted = std::count_if(group.samples.begin(), group.samples.end(), [&](size_t i) {
    return request.samples[i].locator.dataset != kCanaryDataset;
  });
  images_inferred_ += counted;
  metrics_.images_inferred.Increment(static_cast<double>(counted));
  return outputs;
}

void LocalSource::RunGroup(const TargetRequest& request, const Group& group, TargetSink& sink) {
  absl::StatusOr<TapOutputs> outputs = ForwardGroup(request, group);
  std::vector<absl::StatusOr<EncodedTarget>> targets;
  for (const TargetSpec& spec : request.specs) {
    for (size_t k = 0; k < group.samples.size(); ++k) {
      targets.push_back(outputs.ok() ? Encode(outputs->at(spec.tap), k, spec, group.labels[k])
                                     : absl::StatusOr<EncodedTarget>(outputs.status()));
    }
  }
  // The device's memory is free before a slow receiver is waited for.
  outputs = TapOutputs();
  for (size_t i = 0; i < targets.size(); ++i) {
    const size_t samples = group.samples.size();
    sink.Deliver(group.samples[i % samples], i / samples, std::move(targets[i]));
  }
}

absl::StatusOr<TeacherInfo> LocalSource::GetTeacherInfo(const FetchContext&) {
  TeacherInfo info{.identity = teacher_.identity,
                   .model = teacher_.model->architecture(),
                   .num_classes = static_cast<int32_t>(teacher_.model->num_classes()),
                   .images_inferred = images_inferred_,
                   .miou = options_.miou,
                   .build_version = options_.build_version};
  for (const TapInfo& tap : teacher_.model->taps()) {
    info.taps.push_back({.name = tap.name,
                         .channels = static_cast<int32_t>(tap.channels),
                         .stride = static_cast<int32_t>(tap.stride)});
  }
  return info;
}

// Empties an order that changes nothing.
absl::Status CheckOrder(std::vector<int64_t>& order, int64_t classes) {
  if (order.empty()) return absl::OkStatus();
  std::vector<int64_t> sorted = order, identity(classes);
  std::sort(sorted.begin(), sorted.end());
  std::iota(identity.begin(), identity.end(), 0);
  if (sorted != identity) {
    return absl::InvalidArgumentError(absl::StrCat("teacher.classes: not a permutation of the ",
                                                   "network's ", classes, " classes"));
  }
  if (order == identity) order.clear();
  return absl::OkStatus();
}

// SHA-256 of "reflux-class-order-1", the network's digest, and the order as bytes (u16 each,
// little-endian).
Digest OrderedDigest(const Digest& digest, const std::vector<int64_t>& order) {
  if (order.empty()) return digest;
  std::string bytes = absl::StrCat("reflux-class-order-1", digest.AsBytes());
  for (const int64_t channel : order) {
    bytes.push_back(static_cast<char>(channel & 255));
    bytes.push_back(static_cast<char>(channel >> 8));
  }
  return Sha256::Of(bytes);
}

}  // namespace

absl::StatusOr<Teacher> MakeTeacher(std::shared_ptr<SegmentationModel> model,
                                    const Preprocessing& preprocessing, const Numerics& numerics,
                                    const torch::Device& device, std::vector<int64_t> class_order) {
  if (numerics.tf32 && !device.is_cuda()) {
    return absl::InvalidArgumentError("numerics.tf32: only CUDA devices have TF32");
  }
  Teacher teacher{.model = std::move(model), .device = device};
  REFLUX_RETURN_IF_ERROR(CheckOrder(class_order, teacher.model->num_classes()));
  teacher.class_order = std::move(class_order);
  teacher.identity = {.digest = OrderedDigest(TeacherDigest(*teacher.model), teacher.class_order),
                      .preprocessing = preprocessing,
                      .numerics = numerics};
  teacher.model->eval();
  PlaceModule(*teacher.model, device, WeightType(numerics), /*channels_last=*/true);
  for (torch::Tensor& parameter : teacher.model->parameters()) parameter.set_requires_grad(false);
  return teacher;
}

absl::StatusOr<TapOutputs> RunTeacher(const Teacher& teacher, const torch::Tensor& images,
                                      const std::vector<std::string>& taps) {
  REFLUX_RETURN_IF_ERROR(CheckTaps(*teacher.model, taps));
  return CatchTeacherErrors("forward", [&]() -> absl::StatusOr<TapOutputs> {
    std::map<std::string, std::vector<torch::Tensor>> parts;
    const int64_t batch = teacher.identity.numerics.batch;
    for (const torch::Tensor& part : images.split(batch)) {
      for (auto& [tap, map] : Forward(teacher, part, taps)) parts[tap].push_back(map);
    }
    TapOutputs outputs;
    for (auto& [tap, maps] : parts) outputs[tap] = maps.size() == 1 ? maps[0] : torch::cat(maps);
    return outputs;
  });
}

LocalSourceMetrics LocalSourceMetrics::Register(MetricRegistry& registry) {
  return {
      .images_inferred = registry.AddCounter("reflux_teacher_images_inferred_total",
                                             "Images whose targets a forward computed."),
      .refused_samples = registry.AddCounter("reflux_teacher_refused_samples_total",
                                             "Samples whose image was missing, changed or broken."),
      .forward_seconds = registry.AddHistogram("reflux_teacher_forward_seconds",
                                               "Duration of a forward.", LatencyBuckets())};
}

std::unique_ptr<TargetSource> MakeLocalSource(Teacher teacher, ReadImageFn read_image,
                                              const LocalSourceOptions& options,
                                              const LocalSourceMetrics& metrics) {
  return std::make_unique<LocalSource>(std::move(teacher), std::move(read_image), options, metrics);
}

}  // namespace reflux
