// Where things lie in the orchestrator's state folder (docs/orchestrator.md).
#pragma once

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"

namespace reflux {

struct StateLayout {
  std::string root;  // absolute

  std::string Database() const { return root + "/db"; }
  std::string Lease() const { return root + "/lease"; }
  std::string Endpoint(absl::string_view role) const {
    return absl::StrCat(root, "/endpoints/", role);
  }
  std::string Canaries() const { return root + "/canaries"; }
  std::string Job(absl::string_view job_id) const { return absl::StrCat(root, "/jobs/", job_id); }
  std::string Service(absl::string_view role) const {
    return absl::StrCat(root, "/services/", FileName(role));
  }
  std::string Cache(absl::string_view name, absl::string_view teacher_id) const {
    return absl::StrCat(root, "/caches/", name, "/", teacher_id);
  }

  static std::string SpecFile(const std::string& directory) { return directory + "/spec.json"; }
  static std::string ProcessDir(const std::string& directory) { return directory + "/processes"; }
  // `number`: the generation of a worker, the launch of a service.
  static std::string LogFile(const std::string& directory, absl::string_view role, int64_t number) {
    return absl::StrCat(directory, "/logs/", FileName(role), "-", number, ".log");
  }
  static std::string FileName(absl::string_view role) {
    return absl::StrReplaceAll(role, {{"/", "-"}});
  }
};

}  // namespace reflux
