// A namespace of a Ceph pool with the operations that the store needs. Thread-safe; calls block.
// Errors of every call: those of rados_cluster.h.
#pragma once

#include <rados/librados.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cache/rados/rados_cluster.h"
#include "cache/rados/rados_reading.h"

namespace reflux {

class RadosNamespace {
 public:
  static absl::StatusOr<std::shared_ptr<RadosNamespace>> Open(std::shared_ptr<RadosCluster> cluster,
                                                              const std::string& name);
  ~RadosNamespace();
  RadosNamespace(const RadosNamespace&) = delete;
  RadosNamespace& operator=(const RadosNamespace&) = delete;

  // A new object of these bytes one after the other, at once or not at all. AlreadyExists.
  absl::Status Create(const std::string& object, absl::string_view head, absl::string_view body);
  // The same, whether it is there or not.
  absl::Status Replace(const std::string& object, absl::string_view head, absl::string_view body);
  // OK if there is none.
  absl::Status Remove(const std::string& object);
  // At most `size` bytes from the beginning.
  absl::StatusOr<std::string> ReadStart(const std::string& object, size_t size);
  struct ObjectInfo {
    int64_t size = 0;
    absl::Time modified;  // by the cluster's clock
  };
  absl::StatusOr<ObjectInfo> Stat(const std::string& object);

  // Begins to read an object from its beginning into these pieces of memory one after the other,
  // which must outlive the read.
  RadosReading StartRead(const std::string& object, const std::vector<RadosReading::Memory>& into);

  // Key-value maps of an object. `expected`: the change is made only if these keys have these
  // values, "" meaning none; else Aborted. All of a change happens or nothing.
  struct MapChange {
    std::vector<std::pair<std::string, std::string>> expected;
    std::vector<std::pair<std::string, std::string>> set;
    std::vector<std::string> erase;
  };
  absl::Status ChangeMap(const std::string& object, const MapChange& change);
  using Map = std::map<std::string, std::string>;
  // A question to the map of an object: either those of `keys` that are there, or what follows
  // `after`, begins with `prefix`, in the keys' order, at most `limit`.
  struct MapQuery {
    std::string object;
    std::vector<std::string> keys;
    std::string after, prefix;
    size_t limit = 1000;
  };
  // The answers, empty where there is no such object. All questions are on their way at once.
  absl::StatusOr<std::vector<Map>> ReadMaps(const std::vector<MapQuery>& queries);
  absl::StatusOr<Map> ReadMap(const MapQuery& query);

  // Every object of this namespace; ends with the first error of `visit`, which may use the
  // namespace.
  absl::Status List(const std::function<absl::Status(const std::string& object)>& visit);
  // Names of all namespaces of the pool that hold an object and begin with `prefix`.
  absl::StatusOr<std::vector<std::string>> ListNamespaces(const std::string& prefix);

 private:
  RadosNamespace(std::shared_ptr<RadosCluster> cluster, std::string name)
      : cluster_(std::move(cluster)), name_(std::move(name)) {}
  absl::Status Write(const std::string& object, absl::string_view head, absl::string_view body,
                     bool exclusive);
  class MapReading;
  absl::Status Translate(int result, const std::string& object, absl::string_view what);

  const std::shared_ptr<RadosCluster> cluster_;
  const std::string name_;
  rados_ioctx_t io_ = nullptr;
};

}  // namespace reflux
