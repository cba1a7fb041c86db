// The target sets of a store on RADOS: their descriptions, and leases and pins that servers share.
// Kept in one map object; what is known of it is in a SetUsage. Thread-safe.
//
// A lease that one server renews reaches the others within a minute and their refresh time: last
// uses are written once a minute, and whoever sees one change leases the set anew by its own clock,
// so the hosts' clocks need not agree.
#pragma once

#include <map>
#include <string>

#include "cache/rados/rados_namespace.h"
#include "cache/set_usage.h"

namespace reflux {

class RadosSets {
 public:
  RadosSets(RadosNamespace& control, SetUsage& usage, const Clock& clock)
      : control_(control), usage_(usage), clock_(clock) {}

  absl::Status Refresh();
  // Makes the set known, here and to others, and leases it.
  absl::Status Describe(const TargetSetId& id, const TargetSet& set);
  // Leases the set; a failure to tell the others is theirs to survive, so none is returned.
  void Touch(const TargetSetId& id);
  // NotFound when the set is not known or holds nothing.
  absl::Status Pin(const TargetSetId& id, absl::Duration term);
  absl::Status Unpin(const TargetSetId& id);

 private:
  absl::Status WritePin(const TargetSetId& id, const std::string& value);
  absl::Status Restore(const TargetSetId& id, const RadosNamespace::Map& values);

  RadosNamespace& control_;
  SetUsage& usage_;
  const Clock& clock_;
  Mutex mutex_;
  // Values as they were last read or written here, by name.
  RadosNamespace::Map seen_ REFLUX_GUARDED_BY(mutex_);
  std::map<TargetSetId, absl::Duration> told_ REFLUX_GUARDED_BY(mutex_);  // uptime
};

}  // namespace reflux
