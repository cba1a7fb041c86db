#include "planner/codec_measure.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "absl/time/clock.h"
#include "common/base/status_macros.h"
#include "distill/codec/target_codec.h"

namespace reflux {
namespace {

constexpr const char* kCodecs[] = {"fp32", "bf16", "fp16", "int8", "fp16+zstd", "int8+zstd"};
constexpr char kOfLogits[] = "topk:4";

class MapSink : public TargetSink {
 public:
  void Deliver(size_t, size_t, absl::StatusOr<EncodedTarget> target) override {
    if (status_.ok()) status_ = target.ok() ? Keep(*target) : target.status();
  }
  absl::StatusOr<std::vector<torch::Tensor>> Maps() && {
    REFLUX_RETURN_IF_ERROR(status_);
    return std::move(maps_);
  }

 private:
  absl::Status Keep(const EncodedTarget& target) {
    maps_.push_back(torch::empty({target.shape[0], target.shape[1], target.shape[2]}));
    return DecodeMapInto(target, maps_.back());
  }
  std::vector<torch::Tensor> maps_;
  absl::Status status_;
};

absl::StatusOr<CodecMeasure> MeasureCodec(const std::string& name,
                                          const std::vector<torch::Tensor>& maps, double views) {
  REFLUX_ASSIGN_OR_RETURN(const Codec codec, ParseCodec(name));
  CodecMeasure measure{.name = name};
  double difference = 0, whole = 0;
  for (const torch::Tensor& map : maps) {
    const absl::Time begin = absl::Now();
    REFLUX_ASSIGN_OR_RETURN(const EncodedTarget target, EncodeMap(map, codec));
    const absl::Time encoded = absl::Now();
    const torch::Tensor decoded = torch::empty_like(map);
    REFLUX_RETURN_IF_ERROR(DecodeMapInto(target, decoded));
    measure.encode_seconds += absl::ToDoubleSeconds(encoded - begin) / views;
    measure.decode_seconds += absl::ToDoubleSeconds(absl::Now() - encoded) / views;
    measure.view_bytes += static_cast<double>(target.bytes.size()) / views;
    difference += (decoded - map).to(torch::kFloat64).square().sum().item<double>();
    whole += map.to(torch::kFloat64).square().sum().item<double>();
  }
  measure.error = whole > 0 ? std::sqrt(difference / whole) : 0;
  return measure;
}

std::vector<std::string> CodecsToMeasure(bool logits_alone, const std::string& current) {
  std::vector<std::string> names(std::begin(kCodecs), std::end(kCodecs));
  if (logits_alone) names.push_back(kOfLogits);
  if (std::ranges::find(names, current) == names.end()) names.push_back(current);
  return names;
}

}  // namespace

absl::StatusOr<std::vector<CodecMeasure>> MeasureCodecs(std::vector<CodecRequest> requests,
                                                        const std::string& current) {
  bool logits_alone = true;
  double views = 0;
  MapSink sink;
  for (auto& [request, source] : requests) {
    for (TargetSpec& spec : request.specs) {
      spec.codec = Codec::kFp32;
      logits_alone = logits_alone && spec.tap == "logits";
    }
    views = static_cast<double>(request.samples.size());
    REFLUX_RETURN_IF_ERROR(source->Fetch({}, request, sink));
  }
  REFLUX_ASSIGN_OR_RETURN(const std::vector<torch::Tensor> maps, std::move(sink).Maps());
  std::vector<CodecMeasure> measures;
  for (const std::string& name : CodecsToMeasure(logits_alone, current)) {
    const auto measure = MeasureCodec(name, maps, views);
    if (measure.ok()) measures.push_back(*measure);
  }
  return measures;
}

}  // namespace reflux
