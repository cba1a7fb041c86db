#include "cache/rocks_log.h"

#include <spdlog/spdlog.h>

#include <cstdarg>
#include <cstdio>

namespace reflux {
namespace {

class SpdlogLogger : public rocksdb::Logger {
 public:
  SpdlogLogger() : Logger(rocksdb::WARN_LEVEL) {}
  using Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    Logv(rocksdb::INFO_LEVEL, format, arguments);
  }
  void Logv(const rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
    if (level < GetInfoLogLevel()) return;
    char text[1024];
    vsnprintf(text, sizeof(text), format, arguments);
    spdlog::debug("cache: RocksDB: {}", text);
  }
};

}  // namespace

std::shared_ptr<rocksdb::Logger> MakeRocksLog() { return std::make_shared<SpdlogLogger>(); }

}  // namespace reflux
