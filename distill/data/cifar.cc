#include "distill/data/cifar.h"

#include <filesystem>
#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/file.h"
#include "common/base/status_macros.h"
#include "distill/data/class_tables.h"
#include "distill/data/ppm.h"

namespace reflux {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kImageBytes = int64_t{3} * kCifarSide * kCifarSide;
constexpr int64_t kMaxRecords = 10'000'000;
constexpr int kIgnore = 255;
constexpr char kRecordMark[] = ".bin#";

struct CifarForm {
  int classes;
  int label_bytes;  // the last one counts
  const char* names;
  const char* expected;
  int64_t record_bytes() const { return label_bytes + kImageBytes; }
};

CifarForm FormOf(absl::string_view format) {
  if (format == "cifar10") {
    return {10, 1, "batches.meta.txt", "ROOT/data_batch_1.bin, ... and ROOT/test_batch.bin"};
  }
  return {100, 2, "fine_label_names.txt", "ROOT/train.bin and ROOT/test.bin"};
}

// Fixed by the name, which is all that a locator has: CIFAR-100's two files have labels of two
// bytes.
int64_t RecordBytes(const std::string& file) {
  const std::string name = fs::path(file).filename().string();
  return FormOf(name == "train.bin" || name == "test.bin" ? "cifar100" : "cifar10").record_bytes();
}

std::string FileName(absl::string_view format, const std::string& split, int number) {
  const bool train = split == "train";
  if (format == "cifar100") return train ? "train.bin" : "test.bin";
  return train ? absl::StrCat("data_batch_", number, ".bin") : "test_batch.bin";
}

// Those that exist; the first in any case.
std::vector<std::string> FilesOf(const DatasetOptions& options) {
  std::vector<std::string> files = {FileName(options.format, options.split, 1)};
  if (options.format != "cifar10" || options.split != "train") return files;
  std::error_code error;
  for (int number = 2;; ++number) {
    const std::string next = FileName(options.format, options.split, number);
    if (!fs::exists(fs::path(options.root) / next, error)) return files;
    files.push_back(next);
  }
}

absl::StatusOr<int64_t> CountRecords(const std::string& path, const CifarForm& form) {
  std::error_code error;
  const auto bytes = static_cast<int64_t>(fs::file_size(path, error));
  if (error) {
    return absl::NotFoundError(absl::StrCat("data.root: cannot read ", path, ": ", error.message(),
                                            "; the layout is ", form.expected));
  }
  if (bytes == 0 || bytes % form.record_bytes() != 0 || bytes / form.record_bytes() > kMaxRecords) {
    return absl::DataLossError(
        absl::StrCat(path, ": ", bytes, " bytes are no whole number of records of ",
                     form.record_bytes(), " bytes (a label of ", form.label_bytes,
                     ", then 32x32 in three colours): is it truncated, "
                     "or of another format?"));
  }
  return bytes / form.record_bytes();
}

// `bytes` bytes from `offset` on.
absl::StatusOr<std::string> ReadAt(const std::string& path, int64_t offset, int64_t bytes) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot open ", path));
  std::string content(bytes, '\0');
  file.seekg(offset);
  if (!file.read(content.data(), bytes)) {
    return absl::NotFoundError(absl::StrCat(path, ": there is nothing at byte ", offset));
  }
  return content;
}

// The names that the set's own list gives, or "0", "1", ...
std::vector<std::string> ClassNames(const std::string& root, const CifarForm& form) {
  std::vector<std::string> names;
  const absl::StatusOr<std::string> text = ReadFile((fs::path(root) / form.names).string(), 65536);
  for (absl::string_view line : absl::StrSplit(text.value_or(""), '\n', absl::SkipEmpty())) {
    line = absl::StripAsciiWhitespace(line);
    if (!line.empty()) names.emplace_back(line);
  }
  if (static_cast<int>(names.size()) == form.classes) return names;
  names.clear();
  for (int i = 0; i < form.classes; ++i) names.push_back(absl::StrCat(i));
  return names;
}

class CifarDataset : public Dataset {
 public:
  explicit CifarDataset(const DatasetOptions& options)
      : options_(options), form_(FormOf(options.format)), names_(ClassNames(options.root, form_)) {
    for (int i = 0; i < form_.classes; ++i) palette_.push_back(VocColour(i + 1));
  }

  absl::Status Open() {
    for (const std::string& file : FilesOf(options_)) REFLUX_RETURN_IF_ERROR(AddFile(file));
    return absl::OkStatus();
  }

  Task task() const override { return Task::kClassification; }
  const std::string& format() const override { return options_.format; }
  const std::vector<SampleFiles>& samples() const override { return samples_; }
  const std::vector<std::string>& class_names() const override { return names_; }
  const std::vector<cv::Vec3b>& palette() const override { return palette_; }
  int ignore_index() const override { return kIgnore; }
  const std::string& root() const override { return options_.root; }
  std::string FileOf(size_t index) const override { return CifarFile(samples_[index].image.path); }

  absl::StatusOr<std::string> ReadImage(size_t index) const override {
    return ReadCifarImage(options_.root, samples_[index].image.path);
  }
  absl::StatusOr<cv::Mat> ReadLabel(size_t index) const override {
    if (samples_[index].label_path.empty()) return cv::Mat();
    return cv::Mat(1, 1, CV_8UC1, cv::Scalar(labels_[index]));
  }

 private:
  bool IsFull() const {
    return options_.max_images > 0 && static_cast<int64_t>(samples_.size()) >= options_.max_images;
  }

  absl::Status AddFile(const std::string& name) {
    const std::string path = (fs::path(options_.root) / name).string();
    REFLUX_ASSIGN_OR_RETURN(const int64_t records, CountRecords(path, form_));
    std::ifstream file(path, std::ios::binary);
    for (int64_t i = 0; i < records && !IsFull(); ++i) {
      file.seekg(i * form_.record_bytes() + form_.label_bytes - 1);
      const int label = file.get();
      if (!file || label >= form_.classes) {
        return absl::DataLossError(absl::StrCat(path, ": the label of record ", i, " is ", label,
                                                ", the classes are 0..", form_.classes - 1));
      }
      labels_.push_back(static_cast<uint8_t>(label));
      const std::string record = absl::StrCat(name, "#", i);
      samples_.push_back({.image = {.dataset = options_.format, .path = record},
                          .label_path = options_.without_labels ? "" : record});
    }
    return absl::OkStatus();
  }

  const DatasetOptions options_;
  const CifarForm form_;
  const std::vector<std::string> names_;
  std::vector<cv::Vec3b> palette_;
  std::vector<SampleFiles> samples_;
  std::vector<uint8_t> labels_;
};

}  // namespace

bool IsCifar(absl::string_view format) { return format == "cifar10" || format == "cifar100"; }

absl::StatusOr<std::unique_ptr<Dataset>> OpenCifar(const DatasetOptions& options) {
  if (options.split != "train" && options.split != "val" && options.split != "test") {
    return absl::NotFoundError(absl::StrCat("data: ", options.format, " has no split `",
                                            options.split, "`; there are train, val and test"));
  }
  auto dataset = std::make_unique<CifarDataset>(options);
  REFLUX_RETURN_IF_ERROR(dataset->Open());
  return dataset;
}

bool IsCifarRecord(absl::string_view path) { return absl::StrContains(path, kRecordMark); }

std::string CifarFile(absl::string_view path) {
  return std::string(path.substr(0, path.rfind('#')));
}

absl::StatusOr<std::string> ReadCifarImage(const std::string& root, const std::string& path) {
  const std::string file = CifarFile(path);
  int64_t record = -1;
  if (!absl::SimpleAtoi(path.substr(file.size() + 1), &record) || record < 0 ||
      record >= kMaxRecords) {
    return absl::NotFoundError(absl::StrCat("'", path, "' is not a file and a record, FILE.bin#N"));
  }
  const int64_t bytes = RecordBytes(file);
  REFLUX_ASSIGN_OR_RETURN(
      const std::string planes,
      ReadAt((fs::path(root) / file).string(), (record + 1) * bytes - kImageBytes, kImageBytes));
  return PpmFromPlanes(planes, kCifarSide, kCifarSide);
}

Preprocessing CifarPreprocessing() {
  return {.mean = {0.4914, 0.4822, 0.4465}, .deviation = {0.2023, 0.1994, 0.2010}};
}

}  // namespace reflux
