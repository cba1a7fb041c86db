// What jobs ask of their teachers together: every target once, however many of them need it.
// Torch-free, no I/O, not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "planner/job_needs.h"

namespace reflux {

// The targets that one way of asking computes: every sample wants every spec of the teacher.
struct NeedsPart {
  size_t place = 0;      // as given to Add: who has the teacher and the images
  std::string servers;   // caches of the targets; empty: the folder's
  std::string dataset;   // id, as locators name it
  TeacherNeeds teacher;  // as the first job of `place` names it; at most kMaxSpecs specs
  std::vector<SampleRef> samples;
  int64_t targets() const { return static_cast<int64_t>(samples.size() * teacher.specs.size()); }
};

// Teachers by their names in a job, and the cache servers of each ("": the folder).
using ServersOf = std::map<std::string, std::string>;

class NeedsUnion {
 public:
  // Jobs of the same `place` find the same teachers and images; a target that others need too is of
  // the place that was added first.
  void Add(size_t place, const JobNeeds& needs, const ServersOf& servers);

  // No two of them hold the same target. The samples of a part stand in the order in which jobs
  // first take them, and one forward of a sample gives all that the jobs need of it.
  std::vector<NeedsPart> Parts() const;

 private:
  struct Wanted {
    SampleRef sample;
    size_t place = 0;
    std::vector<bool> specs;  // by index in OfTeacher::specs
  };
  struct OfTeacher {
    std::string dataset;
    TeacherInfo info;
    std::vector<TargetSpec> specs;
    std::map<size_t, std::string> names;  // by place
    std::vector<Wanted> wanted;
    // Samples of an image and view differ in their labels alone.
    std::map<std::pair<Digest, View>, std::vector<size_t>> index;
  };
  static void AddTeacher(size_t place, const TeacherNeeds& teacher,
                         const std::vector<SampleRef>& samples, OfTeacher& all);
  static void AppendParts(const std::string& servers, const OfTeacher& teacher,
                          std::vector<NeedsPart>& parts);

  std::map<std::pair<std::string, TeacherIdentity>, OfTeacher> teachers_;
};

// Of one job.
std::vector<NeedsPart> PartsOf(const JobNeeds& needs, const ServersOf& servers = {});

}  // namespace reflux
