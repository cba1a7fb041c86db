#include "student_worker/batch_maker.h"

#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status_macros.h"
#include "distill/codec/target_codec.h"
#include "distill/data/derived_map.h"

namespace reflux {
namespace {

// Decodes each target straight into its row of the batch tensor, or through the grid that derives
// the row from the whole image's map.
class DecodingSink : public TargetSink {
 public:
  // `grid(sample, spec)` may be null: rows are what is delivered.
  using GridFn = std::function<DerivedGrid(size_t sample, size_t spec)>;
  DecodingSink(const std::vector<SampleRef>& samples, const TeacherTargets& teacher, GridFn grid,
               const BatchForm& form, Batch& batch)
      : samples_(samples),
        specs_(teacher.specs),
        grid_(std::move(grid)),
        form_(form),
        batch_(batch),
        maps_(batch.targets[teacher.name]) {}

  void Deliver(size_t sample, size_t spec, absl::StatusOr<EncodedTarget> target) override {
    if (!status_.ok()) return;
    status_ = target.ok() ? Decode(sample, spec, *target) : target.status();
    if (status_.ok()) return;
    status_ = absl::Status(status_.code(),
                           absl::StrCat("target ", specs_[spec].name(), " of ",
                                        samples_[sample].locator.path, ": ", status_.message()));
  }
  char* Place(size_t sample, size_t spec, const EncodedTarget& coming, size_t size) override {
    if (!status_.ok() || grid_ != nullptr || coming.codec != specs_[spec].codec) return nullptr;
    return PlaceOfRow(coming, size, static_cast<int64_t>(sample),
                      Maps(spec, coming.shape[0], coming.shape[1], coming.shape[2]));
  }
  const absl::Status& status() const { return status_; }

 private:
  absl::Status Decode(size_t sample, size_t spec, const EncodedTarget& target) {
    if (target.codec != specs_[spec].codec) {
      return absl::DataLossError(
          absl::StrCat("asked for codec ", Name(specs_[spec].codec), ", got ", Name(target.codec)));
    }
    ++batch_.target_count;
    batch_.target_bytes += target.bytes.size();
    const auto row = static_cast<int64_t>(sample);
    if (grid_ == nullptr) {
      return DecodeRow(target, row, Maps(spec, target.shape[0], target.shape[1], target.shape[2]));
    }
    const DerivedGrid grid = grid_(sample, spec);
    const torch::Tensor whole = torch::empty({target.shape[0], target.shape[1], target.shape[2]});
    REFLUX_RETURN_IF_ERROR(DecodeMapInto(target, whole));
    const TargetMaps& maps =
        Maps(spec, target.shape[0], static_cast<int64_t>(grid.rows.places.size()),
             static_cast<int64_t>(grid.columns.places.size()));
    if (maps.elements.size(1) != target.shape[0]) {
      return absl::InvalidArgumentError(absl::StrCat(
          "a map of ", target.shape[0], " channels after one of ", maps.elements.size(1)));
    }
    return DeriveMap(whole.data_ptr<float>(), target.shape, grid,
                     maps.elements[row].data_ptr<float>());
  }

  // Those of all samples; the first delivery says how large they are.
  const TargetMaps& Maps(size_t spec, int64_t channels, int64_t height, int64_t width) {
    TargetMaps& maps = maps_[specs_[spec].name()];
    if (!maps.elements.defined()) {
      maps =
          EmptyTargetMaps(specs_[spec].codec,
                          {static_cast<int64_t>(samples_.size()), channels, height, width}, form_);
    }
    return maps;
  }

  const std::vector<SampleRef>& samples_;
  const std::vector<TargetSpec>& specs_;
  const GridFn grid_;
  const BatchForm form_;
  Batch& batch_;
  std::map<std::string, TargetMaps>& maps_;
  absl::Status status_;
};

BatchMakerOptions WithFormSettled(BatchMakerOptions options) {
  options.form.narrow = options.form.narrow && !options.views.whole;
  return options;
}

}  // namespace

BatchMaker::BatchMaker(const Dataset& dataset, SampleIdentities digests,
                       const BatchMakerOptions& options)
    : dataset_(dataset),
      digests_(std::move(digests)),
      options_(WithFormSettled(options)),
      stream_(options.stream),
      images_(std::make_unique<DecodedImages>(dataset, options.decoded_bytes,
                                              options.views.decode_shrink)) {}

absl::StatusOr<Batch> BatchMaker::Make(int64_t step,
                                       const std::shared_ptr<Cancellation>& cancellation) const {
  const std::vector<Draw> draws = stream_.Draws(step, options_.rank, options_.world_size);
  Batch batch{.step = step, .first_position = draws.front().position};
  std::vector<Loaded> loaded;
  REFLUX_RETURN_IF_ERROR(LoadSamples(draws, batch, loaded));
  if (options_.mix.kind != MixOptions::Kind::kNone) REFLUX_RETURN_IF_ERROR(MixIn(draws, batch));
  for (const TeacherTargets& teacher : options_.teachers) {
    REFLUX_RETURN_IF_ERROR(FetchTargets(teacher, loaded, cancellation, batch));
  }
  return batch;
}

absl::Status BatchMaker::LoadSamples(const std::vector<Draw>& draws, Batch& batch,
                                     std::vector<Loaded>& loaded) const {
  const auto count = static_cast<int64_t>(draws.size());
  const int64_t height = options_.views.crop_height, width = options_.views.crop_width;
  const auto [label_height, label_width] = LabelSize(dataset_, height, width);
  batch.images = EmptyHost({count, 3, height, width}, torch::kFloat32, options_.form);
  batch.labels = EmptyHost({count, label_height, label_width}, torch::kInt64, options_.form);
  loaded.resize(count);
  for (int64_t row = 0; row < count; ++row) {
    REFLUX_RETURN_IF_ERROR(LoadSample(draws[row], row, batch, loaded[row]));
  }
  return absl::OkStatus();
}

// The partners may be images of other ranks: each rank reads its own.
absl::Status BatchMaker::MixIn(const std::vector<Draw>& draws, Batch& batch) const {
  const int32_t height = options_.views.crop_height, width = options_.views.crop_width;
  const std::vector<Draw> all = stream_.Draws(batch.step, 0, 1);
  const Mix mix = DrawMix(options_.mix, options_.stream.seed, batch.step,
                          static_cast<int64_t>(all.size()), height, width);
  std::vector<Draw> partners;
  for (const Draw& draw : draws) partners.push_back(all[mix.partner[draw.position]]);
  Batch others;
  std::vector<Loaded> unused;
  REFLUX_RETURN_IF_ERROR(LoadSamples(partners, others, unused));
  batch.mixed_labels = others.labels;
  batch.label_share = mix.share;
  if (mix.blend) {
    batch.images = mix.share * batch.images + (1 - mix.share) * others.images;
    return absl::OkStatus();
  }
  const auto box = [&](const torch::Tensor& images) {
    return images.slice(2, mix.top, mix.bottom).slice(3, mix.left, mix.right);
  };
  box(batch.images).copy_(box(others.images));
  return absl::OkStatus();
}

absl::Status BatchMaker::LoadSample(const Draw& draw, int64_t row, Batch& batch,
                                    Loaded& loaded) const {
  const Digest& digest = digests_.images[draw.sample];
  REFLUX_ASSIGN_OR_RETURN(const std::shared_ptr<const LabelledImage> read,
                          images_->Get(draw.sample, digest));
  const View view = loaded.view = DrawView(options_.views, options_.view_seed, digest,
                                           read->size.height, read->size.width, draw.view);
  ApplyView(read->image, view, options_.preprocessing, batch.images[row].data_ptr<float>());
  WriteLabel(dataset_, read->label, view, batch.labels[row].data_ptr<int64_t>());
  loaded.asked = {.digest = digest, .view = view, .locator = dataset_.samples()[draw.sample].image};
  if (!digests_.labels.empty()) loaded.asked.label_digest = digests_.labels[draw.sample];
  if (!options_.views.whole) return absl::OkStatus();
  loaded.asked.view = WholeViewOf(options_.views, read->size.height, read->size.width);
  if (HasPadding(view)) {
    if (!batch.padding.defined()) {
      batch.padding =
          torch::zeros({batch.images.size(0), view.crop_height, view.crop_width}, torch::kUInt8);
    }
    MarkPadding(view, batch.padding[row].data_ptr<uint8_t>());
  }
  return absl::OkStatus();
}

absl::Status BatchMaker::FetchTargets(const TeacherTargets& teacher,
                                      const std::vector<Loaded>& loaded,
                                      const std::shared_ptr<Cancellation>& cancellation,
                                      Batch& batch) const {
  TargetRequest request{.teacher = teacher.identity, .samples = {}, .specs = teacher.specs};
  for (const Loaded& sample : loaded) request.samples.push_back(sample.asked);
  DecodingSink::GridFn grid;
  if (options_.views.whole) {
    grid = [&](size_t sample, size_t spec) {
      return DeriveGrid(loaded[sample].view, loaded[sample].asked.view, teacher.strides[spec]);
    };
  }
  DecodingSink sink(request.samples, teacher, std::move(grid), options_.form, batch);
  REFLUX_RETURN_IF_ERROR(teacher.source->Fetch(
      {.deadline = absl::Now() + options_.fetch_timeout, .cancellation = cancellation}, request,
      sink));
  return sink.status();
}

}  // namespace reflux
