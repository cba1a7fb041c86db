#include "student_worker/tensorboard_observer.h"

#include <array>
#include <cerrno>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/base/file.h"

namespace reflux {
namespace {

constexpr uint32_t kReflectedPolynomial = 0x82f63b78;

constexpr std::array<uint32_t, 256> MakeTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ (value & 1 ? kReflectedPolynomial : 0);
    table[byte] = value;
  }
  return table;
}

// A checksum of data that holds checksums is weak: the format rotates it and adds a constant.
uint32_t Masked(uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8; }

void AppendLittleEndian(uint64_t value, int bytes, std::string& out) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

}  // namespace

uint32_t Crc32c(absl::string_view bytes) {
  static constexpr std::array<uint32_t, 256> kTable = MakeTable();
  uint32_t crc = ~0u;
  for (const char c : bytes) crc = kTable[(crc ^ static_cast<uint8_t>(c)) & 0xff] ^ (crc >> 8);
  return ~crc;
}

std::string FrameRecord(absl::string_view data) {
  std::string record;
  AppendLittleEndian(data.size(), 8, record);
  AppendLittleEndian(Masked(Crc32c(record)), 4, record);
  absl::StrAppend(&record, data);
  AppendLittleEndian(Masked(Crc32c(data)), 4, record);
  return record;
}

absl::StatusOr<std::unique_ptr<TensorBoardObserver>> TensorBoardObserver::Open(
    const std::string& directory, int generation) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  // Readers go through the files in the order of their names.
  const std::string path = absl::StrFormat("%s/events.out.tfevents.%010d.gen-%06d", directory,
                                           absl::ToUnixSeconds(absl::Now()), generation);
  std::FILE* file = std::fopen(path.c_str(), "ae");
  if (file == nullptr) return ErrnoStatus(errno, "cannot open", path);
  return std::unique_ptr<TensorBoardObserver>(new TensorBoardObserver(file));
}

TensorBoardObserver::~TensorBoardObserver() { std::fclose(file_); }

void TensorBoardObserver::Write(int64_t step, tensorboard::Event event) {
  event.set_wall_time(absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch()));
  event.set_step(step);
  const std::string record = FrameRecord(event.SerializeAsString());
  std::fwrite(record.data(), 1, record.size(), file_);
}

void TensorBoardObserver::Begin() {
  if (begun_) return;
  tensorboard::Event version;
  version.set_file_version("brain.Event:2");
  Write(0, version);
  begun_ = true;
}

// What an older generation wrote of this step and later ones is done again: readers shall drop it.
void TensorBoardObserver::HideFrom(int64_t step) {
  if (trained_) return;
  tensorboard::Event start;
  start.mutable_session_log()->set_status(tensorboard::SessionLog::START);
  Write(step, start);
  trained_ = true;
}

void TensorBoardObserver::Scalars(int64_t step, const std::map<std::string, double>& values) {
  tensorboard::Event event;
  for (const auto& [tag, value] : values) {
    tensorboard::Summary::Value* scalar = event.mutable_summary()->add_value();
    scalar->set_tag(tag);
    scalar->set_simple_value(static_cast<float>(value));
  }
  Write(step, event);
  std::fflush(file_);
}

void TensorBoardObserver::OnStep(const StepReport& report) {
  std::map<std::string, double> values = {{"loss/total", report.total_loss},
                                          {"learning_rate", report.learning_rate},
                                          {"seconds/step", report.seconds},
                                          {"seconds/wait", report.wait_seconds}};
  for (const auto& [name, value] : report.losses) values["loss/" + name] = value;
  for (const auto& [name, value] : report.weights) values["weight/" + name] = value;
  Begin();
  HideFrom(report.step);
  Scalars(report.step, values);
}

void TensorBoardObserver::OnEvaluation(const EvaluationReport& report) {
  Begin();
  if (report.top1.has_value()) {
    std::map<std::string, double> values = {{"validation/top1", *report.top1}};
    if (report.top5.has_value()) values["validation/top5"] = *report.top5;
    Scalars(report.step, values);
    return;
  }
  Scalars(report.step,
          {{"validation/miou", report.miou}, {"validation/pixel_accuracy", report.pixel_accuracy}});
}

}  // namespace reflux
