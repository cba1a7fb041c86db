#include "bench/target_grpc_readers.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <cstring>
#include <thread>
#include <utility>

#include "bench/source_reader.h"
#include "common/base/status_macros.h"
#include "common/rpc/status.h"
#include "common/targets/remote_source.h"
#include "common/targets/wire.h"
#include "reflux/v1/targets.grpc.pb.h"

namespace reflux {
namespace {

constexpr int kCallValues = 4;  // of a call

// Splits an order into calls of kCallValues and makes `threads` of them at once.
class CallingReader : public TargetReader {
 public:
  CallingReader(int threads, int64_t row_bytes, std::unique_ptr<ChildProcess> server)
      : server_(std::move(server)) {
    for (int i = 0; i < threads; ++i) rows_.emplace_back(BatchRows::kRows, row_bytes);
  }
  // Every thread has rows of its own.
  absl::Status Read(const std::vector<int>& order, BatchRows&) override {
    std::vector<absl::Status> status(rows_.size());
    std::vector<std::thread> threads;
    for (size_t thread = 0; thread < rows_.size(); ++thread) {
      threads.emplace_back([&, thread] {
        const size_t stride = rows_.size() * kCallValues;
        for (size_t at = thread * kCallValues; at < order.size(); at += stride) {
          const size_t end = std::min(order.size(), at + kCallValues);
          status[thread].Update(CallOnce(
              {order.begin() + static_cast<long>(at), order.begin() + static_cast<long>(end)},
              rows_[thread]));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const absl::Status& one : status) REFLUX_RETURN_IF_ERROR(one);
    return absl::OkStatus();
  }
  double ServerCpuSeconds() const override { return server_->CpuSeconds(); }

 protected:
  virtual absl::Status CallOnce(const std::vector<int>& numbers, BatchRows& rows) = 0;
  const ChildProcess& server() const { return *server_; }

 private:
  const std::unique_ptr<ChildProcess> server_;
  std::vector<BatchRows> rows_;
};

class GrpcReader : public CallingReader {
 public:
  GrpcReader(int threads, int64_t row_bytes, std::unique_ptr<ChildProcess> server)
      : CallingReader(threads, row_bytes, std::move(server)),
        source_(MakeRemoteSource({.endpoint = this->server().address()})) {}

 protected:
  absl::Status CallOnce(const std::vector<int>& numbers, BatchRows& rows) override {
    return FetchIntoRows(*source_, numbers, rows);
  }

 private:
  const std::unique_ptr<TargetSource> source_;
};

class BareReader : public CallingReader {
 public:
  BareReader(int threads, int64_t row_bytes, std::unique_ptr<ChildProcess> server)
      : CallingReader(threads, row_bytes, std::move(server)),
        stub_(v1::TargetService::NewStub(
            grpc::CreateChannel(this->server().address(), grpc::InsecureChannelCredentials()))) {}

 protected:
  absl::Status CallOnce(const std::vector<int>& numbers, BatchRows& rows) override {
    grpc::ClientContext context;
    const auto stream = stub_->Fetch(&context, ToProto(BenchRequest(numbers), Priority::kStudent));
    v1::FetchResponse part;
    char* out = nullptr;
    while (stream->Read(&part)) {
      if (part.has_header()) {
        out = rows.row(part.header().sample());
      } else {
        std::memcpy(out, part.chunk().data(), part.chunk().size());
        out += part.chunk().size();
      }
    }
    return FromGrpc(stream->Finish());
  }

 private:
  const std::unique_ptr<v1::TargetService::Stub> stub_;
};

}  // namespace

std::unique_ptr<TargetReader> MakeGrpcReader(const TargetBenchOptions& options,
                                             std::unique_ptr<ChildProcess> cache) {
  return std::make_unique<GrpcReader>(options.threads, options.stored().value_bytes(),
                                      std::move(cache));
}

std::unique_ptr<TargetReader> MakeBareReader(const TargetBenchOptions& options,
                                             std::unique_ptr<ChildProcess> server) {
  return std::make_unique<BareReader>(options.threads, options.stored().value_bytes(),
                                      std::move(server));
}

}  // namespace reflux
