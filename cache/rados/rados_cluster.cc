#include "cache/rados/rados_cluster.h"

#include <errno.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

std::string Seconds(absl::Duration duration) {
  return absl::StrCat(absl::ToInt64Seconds(absl::Ceil(duration, absl::Seconds(1))));
}

absl::StatusCode CodeOf(int error) {
  switch (error) {
    case ENOENT:
      return absl::StatusCode::kNotFound;
    case EEXIST:
      return absl::StatusCode::kAlreadyExists;
    case ECANCELED:
      return absl::StatusCode::kAborted;
    case ENOSPC:
    case EDQUOT:
      return absl::StatusCode::kResourceExhausted;
    case EIO:
      return absl::StatusCode::kDataLoss;
    case EPERM:
    case EACCES:
      return absl::StatusCode::kPermissionDenied;
    case ETIMEDOUT:
    case ENOTCONN:
    case ESHUTDOWN:
      return absl::StatusCode::kUnavailable;
    default:
      return absl::StatusCode::kInternal;
  }
}

}  // namespace

absl::StatusOr<std::shared_ptr<RadosCluster>> RadosCluster::Connect(
    const RadosStoreOptions& options) {
  auto cluster = std::shared_ptr<RadosCluster>(new RadosCluster(options));
  REFLUX_RETURN_IF_ERROR(cluster->Configure());
  const int result = rados_connect(cluster->handle_);
  if (result != 0) {
    return cluster->Translate(
        result, absl::StrCat("cannot connect to Ceph as client.", options.user, " with ",
                             options.configuration.empty() ? "the default configuration"
                                                           : options.configuration));
  }
  cluster->connected_ = true;
  if (rados_pool_lookup(cluster->handle_, options.pool.c_str()) < 0) {
    return absl::NotFoundError(absl::StrCat("Ceph has no pool '", options.pool,
                                            "': make it with: ceph osd pool create ",
                                            options.pool));
  }
  return cluster;
}

absl::Status RadosCluster::Configure() {
  REFLUX_RETURN_IF_ERROR(Translate(rados_create(&handle_, options_.user.c_str()), "librados"));
  const std::string& file = options_.configuration;
  const int read = rados_conf_read_file(handle_, file.empty() ? nullptr : file.c_str());
  if (read != 0) {
    return absl::InvalidArgumentError(absl::StrCat("cannot read the Ceph configuration ",
                                                   file.empty() ? "in its usual places" : file,
                                                   ": ", strerror(-read)));
  }
  const std::string limit = Seconds(options_.timeout);
  for (const char* option :
       {"rados_osd_op_timeout", "rados_mon_op_timeout", "client_mount_timeout"}) {
    REFLUX_RETURN_IF_ERROR(Translate(rados_conf_set(handle_, option, limit.c_str()), option));
  }
  return absl::OkStatus();
}

RadosCluster::~RadosCluster() {
  if (handle_ != nullptr) rados_shutdown(handle_);
}

absl::Status RadosCluster::Ready() const {
  MutexLock lock(mutex_);
  if (options_.clock->Uptime() >= paused_until_) return absl::OkStatus();
  return absl::UnavailableError("Ceph did not answer a moment ago");
}

absl::Status RadosCluster::Translate(int result, absl::string_view what) {
  if (result >= 0) return absl::OkStatus();
  const absl::StatusCode code = CodeOf(-result);
  if (code == absl::StatusCode::kUnavailable) {
    MutexLock lock(mutex_);
    paused_until_ = options_.clock->Uptime() + options_.retry_after;
  }
  return absl::Status(code, absl::StrCat(what, ": ", strerror(-result)));
}

int64_t RadosCluster::FreeBytes() {
  rados_cluster_stat_t stat{};
  if (!Ready().ok() || !Translate(rados_cluster_stat(handle_, &stat), "statistics").ok()) return 0;
  return static_cast<int64_t>(stat.kb_avail) * 1024;
}

}  // namespace reflux
