#include "cache/direct_source.h"

#include <spdlog/spdlog.h>

#include <atomic>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cache/direct_folder.h"
#include "cache/lease_renewer.h"
#include "cache/spec_groups.h"
#include "common/base/status_macros.h"
#include "common/targets/target_key.h"

namespace reflux {
namespace {

class Counters {
 public:
  explicit Counters(const DirectSourceMetrics& metrics) : metrics_(metrics) {}
  void Hit(size_t bytes) {
    ++hits_;
    metrics_.hits.Increment();
    metrics_.hit_bytes.Increment(static_cast<double>(bytes));
  }
  void Misses(size_t count) {
    misses_ += static_cast<int64_t>(count);
    metrics_.misses.Increment(static_cast<double>(count));
  }
  void Error() {
    ++errors_;
    metrics_.errors.Increment();
  }
  DirectCounts counts() const { return {hits_, misses_, errors_}; }

 private:
  DirectSourceMetrics metrics_;
  std::atomic<int64_t> hits_{0}, misses_{0}, errors_{0};
};

// Reads what it can of one request, and keeps the rest.
class FolderPass {
 public:
  FolderPass(const FetchContext& context, const TargetRequest& request, TargetSink& sink,
             Counters& counters)
      : context_(context), request_(request), sink_(sink), counters_(counters) {
    for (size_t sample = 0; sample < request.samples.size(); ++sample) {
      for (size_t spec = 0; spec < request.specs.size(); ++spec) missing_.push_back({sample, spec});
    }
  }

  // Delivers what `reader` has of the missing; whether that was anything.
  bool Read(RocksReader& reader) {
    std::vector<TargetIndex> missing;
    for (const TargetIndex& index : missing_) {
      if (!context_.Check().ok() || !ReadOne(reader, index)) missing.push_back(index);
    }
    const bool any = missing.size() < missing_.size();
    missing_ = std::move(missing);
    return any;
  }
  const std::vector<TargetIndex>& missing() const { return missing_; }

 private:
  bool ReadOne(RocksReader& reader, const TargetIndex& index) {
    const TargetKey key =
        MakeTargetKey(request_.teacher, request_.samples[index.sample], request_.specs[index.spec]);
    const auto place = [&](const EncodedTarget& coming, size_t size) {
      return sink_.Place(index.sample, index.spec, coming, size);
    };
    absl::StatusOr<EncodedTarget> target = reader.Get(key, place);
    if (!target.ok()) {
      if (!absl::IsNotFound(target.status())) {
        counters_.Error();
        spdlog::debug("cache folder: {}", target.status().ToString());
      }
      return false;
    }
    counters_.Hit(target->bytes.size());
    sink_.Deliver(index.sample, index.spec, std::move(target));
    return true;
  }

  const FetchContext& context_;
  const TargetRequest& request_;
  TargetSink& sink_;
  Counters& counters_;
  std::vector<TargetIndex> missing_;
};

// From the places of a part of a request to those of the whole.
struct PartSink : TargetSink {
  PartSink(TargetSink& whole, const std::vector<TargetIndex>& chosen, const SpecGroup& group)
      : whole(whole), chosen(chosen), group(group) {}
  void Deliver(size_t sample, size_t spec, absl::StatusOr<EncodedTarget> target) override {
    const TargetIndex& index = chosen[group.places[sample][spec]];
    whole.Deliver(index.sample, index.spec, std::move(target));
  }
  char* Place(size_t sample, size_t spec, const EncodedTarget& coming, size_t size) override {
    const TargetIndex& index = chosen[group.places[sample][spec]];
    return whole.Place(index.sample, index.spec, coming, size);
  }
  TargetSink& whole;
  const std::vector<TargetIndex>& chosen;
  const SpecGroup& group;
};

class DirectSourceOverServer : public DirectSource {
 public:
  DirectSourceOverServer(std::unique_ptr<TargetSource> server, const DirectSourceOptions& options,
                         const DirectSourceMetrics& metrics)
      : server_(std::move(server)),
        folder_(options),
        counters_(metrics),
        renewer_(*server_, options.renew_every) {}

  absl::Status Fetch(const FetchContext& context, const TargetRequest& request,
                     TargetSink& sink) override {
    REFLUX_RETURN_IF_ERROR(request.Validate());
    FolderPass pass(context, request, sink, counters_);
    bool any = false;
    if (const auto reader = folder_.Reader()) any = pass.Read(*reader);
    if (!pass.missing().empty() && folder_.LookAgain()) any |= ReadAgain(pass);
    if (any) renewer_.Used(request, 0);
    counters_.Misses(pass.missing().size());
    // A whole request that misses may be refused as a whole.
    if (!any) return server_->Fetch(context, request, sink);
    FetchRest(context, request, pass.missing(), sink);
    return absl::OkStatus();
  }

  absl::StatusOr<TeacherInfo> GetTeacherInfo(const FetchContext& context) override {
    return server_->GetTeacherInfo(context);
  }
  DirectCounts counts() const override { return counters_.counts(); }

 private:
  bool ReadAgain(FolderPass& pass) {
    const auto reader = folder_.Reader();
    const bool any = reader != nullptr && pass.Read(*reader);
    folder_.Found(any);
    return any;
  }

  void FetchRest(const FetchContext& context, const TargetRequest& request,
                 const std::vector<TargetIndex>& missing, TargetSink& sink) {
    for (const SpecGroup& group : GroupBySpecs(request, missing)) {
      PartSink part(sink, missing, group);
      const absl::Status status = server_->Fetch(context, group.request, part);
      if (status.ok()) continue;
      for (size_t sample = 0; sample < group.places.size(); ++sample) {
        for (size_t spec = 0; spec < group.places[sample].size(); ++spec) {
          part.Deliver(sample, spec, status);
        }
      }
    }
  }

  const std::unique_ptr<TargetSource> server_;
  DirectFolder folder_;
  Counters counters_;
  LeaseRenewer renewer_;  // last: its thread ends first
};

}  // namespace

DirectSourceMetrics DirectSourceMetrics::Register(MetricRegistry& registry,
                                                  const std::string& component) {
  const std::string prefix = absl::StrCat("reflux_", component, "_direct_");
  return {.hits = registry.AddCounter(prefix + "hits_total",
                                      "Targets read from the cache server's folder."),
          .hit_bytes = registry.AddCounter(prefix + "bytes_total",
                                           "Bytes read from the cache server's folder."),
          .misses = registry.AddCounter(prefix + "misses_total",
                                        "Targets asked from the server, not being in its folder."),
          .errors = registry.AddCounter(prefix + "errors_total",
                                        "Reads of the cache server's folder that failed.")};
}

std::unique_ptr<DirectSource> MakeDirectSource(std::unique_ptr<TargetSource> server,
                                               const DirectSourceOptions& options,
                                               const DirectSourceMetrics& metrics) {
  return std::make_unique<DirectSourceOverServer>(std::move(server), options, metrics);
}

}  // namespace reflux
