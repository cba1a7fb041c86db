#include "cache/teacher_memory.h"

#include <spdlog/spdlog.h>

#include "common/targets/wire.h"

namespace reflux {
namespace {

constexpr char kMetaName[] = "teacher_info";

}  // namespace

TeacherMemory::TeacherMemory(TargetStore& store) : store_(store) {
  MutexLock lock(mutex_);
  Load();
}

void TeacherMemory::Load() {
  const absl::StatusOr<std::string> stored = store_.GetMeta(kMetaName);
  v1::TeacherInfo message;
  if (!stored.ok() || !message.ParseFromString(*stored)) return;
  absl::StatusOr<TeacherInfo> info = FromProto(message);
  if (!info.ok()) return;
  info_ = *std::move(info);
  stored_ = *stored;
}

std::optional<TeacherInfo> TeacherMemory::Recall() {
  MutexLock lock(mutex_);
  if (!info_.has_value()) Load();
  return info_;
}

void TeacherMemory::Remember(const TeacherInfo& info) {
  const std::string message = ToProto(info).SerializeAsString();
  {
    MutexLock lock(mutex_);
    info_ = info;
    if (stored_ == message) return;
    stored_ = message;
  }
  const absl::Status status = store_.PutMeta(kMetaName, message);
  if (!status.ok()) spdlog::warn("cache: teacher not remembered: {}", status.ToString());
}

std::string TeacherMemory::ModelOf(const TeacherIdentity& teacher) const {
  MutexLock lock(mutex_);
  return info_.has_value() && info_->identity == teacher ? info_->model : "";
}

}  // namespace reflux
