#include "bench/source_reader.h"

#include <atomic>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status_macros.h"
#include "common/targets/remote_source.h"

namespace reflux {
namespace {

class RowsSink : public TargetSink {
 public:
  explicit RowsSink(BatchRows& rows) : rows_(rows) {}
  void Deliver(size_t sample, size_t, absl::StatusOr<EncodedTarget> target) override {
    status_.Update(target.status());
    if (!target.ok()) return;
    char* row = rows_.row(static_cast<int64_t>(sample));
    if (target->bytes.data() != row) std::memcpy(row, target->bytes.data(), target->bytes.size());
  }
  char* Place(size_t sample, size_t, const EncodedTarget&, size_t size) override {
    if (static_cast<int64_t>(size) != rows_.row_bytes()) return nullptr;
    return rows_.row(static_cast<int64_t>(sample));
  }
  const absl::Status& status() const { return status_; }

 private:
  BatchRows& rows_;
  absl::Status status_;
};

class SourceReader : public TargetReader {
 public:
  explicit SourceReader(std::shared_ptr<TargetSource> source) : source_(std::move(source)) {}
  absl::Status Read(const std::vector<int>& order, BatchRows& rows) override {
    return FetchIntoRows(*source_, order, rows);
  }

 private:
  const std::shared_ptr<TargetSource> source_;
};

class Tally : public Counter::Sink {
 public:
  void Increment(double by) override { sum_ += static_cast<int64_t>(by); }
  int64_t sum() const { return sum_; }

 private:
  std::atomic<int64_t> sum_{0};
};

class SameHostReader : public TargetReader {
 public:
  explicit SameHostReader(const std::string& endpoint)
      : source_(MakeRemoteSource({.endpoint = endpoint, .reads_files = true}, Tallied())) {}
  absl::Status Read(const std::vector<int>& order, BatchRows& rows) override {
    REFLUX_RETURN_IF_ERROR(FetchIntoRows(*source_, order, rows));
    if (received_.sum() == read_.sum()) return absl::OkStatus();
    return absl::InternalError(
        absl::StrCat(received_.sum() - read_.sum(), " values were sent by the server"));
  }

 private:
  RemoteSourceMetrics Tallied() {
    RemoteSourceMetrics metrics;
    metrics.targets = Counter(&received_);
    metrics.file_reads = Counter(&read_);
    return metrics;
  }
  Tally received_, read_;
  const std::unique_ptr<TargetSource> source_;
};

}  // namespace

std::unique_ptr<TargetReader> MakeSameHostReader(const std::string& endpoint) {
  return std::make_unique<SameHostReader>(endpoint);
}

absl::Status FetchIntoRows(TargetSource& source, const std::vector<int>& numbers, BatchRows& rows) {
  RowsSink sink(rows);
  FetchContext context;
  context.deadline = absl::Now() + absl::Minutes(1);
  REFLUX_RETURN_IF_ERROR(source.Fetch(context, BenchRequest(numbers), sink));
  return sink.status();
}

std::unique_ptr<TargetReader> MakeSourceReader(std::shared_ptr<TargetSource> source) {
  return std::make_unique<SourceReader>(std::move(source));
}

}  // namespace reflux
