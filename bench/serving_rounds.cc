#include "bench/serving_rounds.h"

#include <ATen/Parallel.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <map>
#include <opencv2/imgcodecs.hpp>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "bench/untrained_teacher.h"
#include "common/base/counter_random.h"
#include "common/base/status_macros.h"
#include "common/targets/remote_source.h"
#include "distill/data/dataset.h"
#include "distill/data/view.h"
#include "distill/teacher/local_source.h"
#include "distill/teacher/teacher_numerics.h"
#include "teacher_server/teacher_server.h"

namespace reflux {
namespace {

// Encoded images in memory: what the disk costs is not the server's.
class Images {
 public:
  Images(int count, int height, int width) {
    for (int i = 0; i < count; ++i) {
      const CounterRandom random(i, "bench image");
      cv::Mat image(height, width, CV_8UC3);
      for (int y = 0; y < height; ++y) {
        for (int x = 0; x < width; ++x) {
          const uint64_t bits = random.Bits(y / 8, x / 8);
          image.at<cv::Vec3b>(y, x) = cv::Vec3b(bits & 255, bits >> 8 & 255, bits >> 16 & 255);
        }
      }
      std::vector<uint8_t> bytes;
      cv::imencode(".jpg", image, bytes);
      const std::string name = absl::StrCat(i, ".jpg");
      files_[name] = {bytes.begin(), bytes.end()};
      samples_.push_back({.digest = Sha256::Of(files_[name]),
                          .view = {.resized_height = height,
                                   .resized_width = width,
                                   .crop_height = height,
                                   .crop_width = width},
                          .locator = {"bench", name}});
    }
  }
  absl::StatusOr<std::string> Read(const Locator& locator) const {
    const auto file = files_.find(locator.path);
    if (file == files_.end()) return absl::NotFoundError(locator.path);
    return file->second;
  }
  const std::vector<SampleRef>& samples() const { return samples_; }

 private:
  std::map<std::string, std::string> files_;
  std::vector<SampleRef> samples_;
};

struct Discarding : TargetSink {
  void Deliver(size_t, size_t, absl::StatusOr<EncodedTarget> target) override {
    if (!target.ok()) status = target.status();
  }
  absl::Status status;
};

absl::StatusOr<double> Seconds(TargetSource& source, const TargetRequest& request) {
  Discarding sink;
  const absl::Time start = absl::Now();
  REFLUX_RETURN_IF_ERROR(source.Fetch({.deadline = start + absl::Minutes(30)}, request, sink));
  REFLUX_RETURN_IF_ERROR(sink.status);
  return absl::ToDoubleSeconds(absl::Now() - start);
}

class Scene {
 public:
  static absl::StatusOr<std::unique_ptr<Scene>> Create(const ServingBenchOptions& options);
  absl::StatusOr<ServingMeasurement> Round(bool served_first);

 private:
  explicit Scene(const ServingBenchOptions& options)
      : options_(options), images_(options.batch, options.height, options.width) {}
  absl::Status Load();
  TargetRequest Request(int samples) const;
  absl::StatusOr<double> BareRate();
  absl::StatusOr<double> ServedRate();
  absl::StatusOr<double> LoneSeconds(TargetSource& source);

  const ServingBenchOptions options_;
  const Images images_;
  Teacher teacher_;
  torch::Tensor batch_;  // preprocessed
  std::shared_ptr<TargetSource> local_;
  std::unique_ptr<TeacherServer> server_;
  std::unique_ptr<TargetSource> remote_;
};

absl::StatusOr<std::unique_ptr<Scene>> Scene::Create(const ServingBenchOptions& options) {
  auto scene = std::unique_ptr<Scene>(new Scene(options));
  REFLUX_RETURN_IF_ERROR(scene->Load());
  return scene;
}

absl::Status Scene::Load() {
  const Numerics numerics{
      .compute = options_.precision == "bf16" ? ComputeDType::kBf16 : ComputeDType::kFp32,
      .threads = options_.threads,
      .batch = options_.batch};
  BeginRunnerThread(numerics);
  REFLUX_ASSIGN_OR_RETURN(const auto model, UntrainedTeacher(options_.teacher_model));
  REFLUX_ASSIGN_OR_RETURN(teacher_, MakeTeacher(model, {}, numerics, torch::kCPU));
  std::vector<torch::Tensor> rows;
  for (const SampleRef& sample : images_.samples()) {
    REFLUX_ASSIGN_OR_RETURN(const std::string bytes, images_.Read(sample.locator));
    REFLUX_ASSIGN_OR_RETURN(const cv::Mat decoded, DecodeImage(bytes));
    rows.push_back(torch::empty({3, options_.height, options_.width}));
    ApplyView(decoded, sample.view, teacher_.identity.preprocessing, rows.back().data_ptr<float>());
  }
  batch_ = torch::stack(rows);
  local_ =
      MakeLocalSource(teacher_, [this](const Locator& locator) { return images_.Read(locator); },
                      {.runners = options_.runners});
  const auto load = [&]() -> absl::StatusOr<ServedTeacher> {
    return ServedTeacher{.source = local_,
                         .identity = teacher_.identity,
                         .bit_exact = true,
                         .begin_runner = [numerics] { BeginRunnerThread(numerics); }};
  };
  REFLUX_ASSIGN_OR_RETURN(
      server_, TeacherServer::Start(load,
                                    {.max_delay = absl::Milliseconds(options_.max_delay_ms),
                                     .runners = options_.runners,
                                     .canary_interval = absl::Hours(24)},
                                    nullptr));
  remote_ = MakeRemoteSource({.endpoint = server_->address()});
  return absl::OkStatus();
}

TargetRequest Scene::Request(int samples) const {
  return {.teacher = teacher_.identity,
          .samples = {images_.samples().begin(), images_.samples().begin() + samples},
          .specs = {{.tap = options_.tap, .codec = ParseCodec(options_.codec).value()}}};
}

// What the hardware gives: forwards of full batches, one after the other.
absl::StatusOr<double> Scene::BareRate() {
  const absl::Time start = absl::Now();
  for (int i = 0; i < options_.batches; ++i) {
    REFLUX_RETURN_IF_ERROR(RunTeacher(teacher_, batch_, {options_.tap}).status());
  }
  return options_.batches * options_.batch / absl::ToDoubleSeconds(absl::Now() - start);
}

// As many images, in requests of one batch, several of them in flight.
absl::StatusOr<double> Scene::ServedRate() {
  std::atomic<int> left = options_.batches;
  std::vector<absl::Status> outcomes(options_.clients);
  std::vector<std::thread> clients;
  const absl::Time start = absl::Now();
  for (absl::Status& outcome : outcomes) {
    clients.emplace_back([&] {
      while (outcome.ok() && left.fetch_sub(1) > 0) {
        outcome = Seconds(*remote_, Request(options_.batch)).status();
      }
    });
  }
  for (std::thread& client : clients) client.join();
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  for (const absl::Status& outcome : outcomes) REFLUX_RETURN_IF_ERROR(outcome);
  return options_.batches * options_.batch / seconds;
}

absl::StatusOr<double> Scene::LoneSeconds(TargetSource& source) {
  double sum = 0;
  for (int i = 0; i < options_.singles; ++i) {
    REFLUX_ASSIGN_OR_RETURN(const double seconds, Seconds(source, Request(1)));
    sum += seconds;
  }
  return sum / options_.singles;
}

absl::StatusOr<ServingMeasurement> Scene::Round(bool served_first) {
  ServingMeasurement round;
  for (const bool served : {served_first, !served_first}) {
    if (served) {
      REFLUX_ASSIGN_OR_RETURN(round.served_rate, ServedRate());
      REFLUX_ASSIGN_OR_RETURN(round.served_seconds, LoneSeconds(*remote_));
    } else {
      REFLUX_ASSIGN_OR_RETURN(round.bare_rate, BareRate());
      REFLUX_ASSIGN_OR_RETURN(round.bare_seconds, LoneSeconds(*local_));
    }
  }
  return round;
}

}  // namespace

absl::StatusOr<std::vector<ServingMeasurement>> MeasureServing(const ServingBenchOptions& options) {
  REFLUX_RETURN_IF_ERROR(ParseCodec(options.codec).status());
  try {
    REFLUX_ASSIGN_OR_RETURN(const std::unique_ptr<Scene> scene, Scene::Create(options));
    REFLUX_RETURN_IF_ERROR(scene->Round(false).status());  // untimed
    std::vector<ServingMeasurement> rounds;
    for (int i = 0; i < options.rounds; ++i) {
      REFLUX_ASSIGN_OR_RETURN(const ServingMeasurement round, scene->Round(i % 2 == 1));
      spdlog::info("round {}: bare {:.3f} images/s, served {:.3f}", i + 1, round.bare_rate,
                   round.served_rate);
      rounds.push_back(round);
    }
    return rounds;
  } catch (const c10::Error& error) {
    return absl::InternalError(error.what_without_backtrace());
  }
}

}  // namespace reflux
