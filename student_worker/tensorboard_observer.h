// Writes a run's scalars as a TensorBoard event file.
//
// Format: TFRecord (tensorflow/core/lib/io/record_writer.h): little-endian length, its masked
// CRC-32C, the serialised Event, its masked CRC-32C.
#pragma once

#include <cstdio>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "student_worker/training_observer.h"
#include "tensorboard/event.pb.h"

namespace reflux {

// Tags: loss/total, loss/<term>, weight/<term>, learning_rate, seconds/step, seconds/wait,
// validation/miou and validation/pixel_accuracy, of a classifier validation/top1 and
// validation/top5 (percent). Every generation of a job has a file of
// its own and hides what an older one wrote of the steps that are done again.
class TensorBoardObserver : public TrainingObserver {
 public:
  // Creates `directory` and a new file in it. Errors name the path.
  static absl::StatusOr<std::unique_ptr<TensorBoardObserver>> Open(const std::string& directory,
                                                                   int generation);
  ~TensorBoardObserver() override;
  void OnStep(const StepReport& report) override;
  void OnEvaluation(const EvaluationReport& report) override;

 private:
  explicit TensorBoardObserver(std::FILE* file) : file_(file) {}
  void Begin();
  void HideFrom(int64_t step);
  void Scalars(int64_t step, const std::map<std::string, double>& values);
  void Write(int64_t step, tensorboard::Event event);

  std::FILE* const file_;
  bool begun_ = false, trained_ = false;
};

// CRC-32C (Castagnoli, RFC 3720) of `bytes`.
uint32_t Crc32c(absl::string_view bytes);

// The record that frames `data` in a TFRecord file.
std::string FrameRecord(absl::string_view data);

}  // namespace reflux
