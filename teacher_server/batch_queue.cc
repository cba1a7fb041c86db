#include "teacher_server/batch_queue.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/rpc/status.h"

namespace reflux {
namespace {

constexpr double kSmoothing = 0.2;  // weight of the newest batch

bool IsStudent(const BatchQueue::Item& item) {
  return item.caller->context.priority == Priority::kStudent;
}

bool SameBatch(const BatchQueue::Item& a, const BatchQueue::Item& b) {
  const View &u = a.ref().view, &v = b.ref().view;
  return u.crop_height == v.crop_height && u.crop_width == v.crop_width &&
         (a.caller == b.caller || (a.caller->request.specs == b.caller->request.specs &&
                                   a.caller->request.teacher == b.caller->request.teacher));
}

}  // namespace

// Samples that would be served before one that comes now.
int64_t BatchQueue::Ahead(Priority priority) const {
  return priority == Priority::kStudent ? students_ : static_cast<int64_t>(items_.size());
}

// How long the runners need for so many samples.
absl::Duration BatchQueue::Backlog(int64_t samples) const {
  const int64_t in_a_round = int64_t{options_.max_batch} * options_.runners;
  return per_batch_ * static_cast<double>((samples + in_a_round - 1) / in_a_round);
}

absl::Status BatchQueue::Admit(const std::shared_ptr<Caller>& caller, absl::Duration now,
                               absl::Duration left) {
  const Priority priority = caller->context.priority;
  const auto samples = static_cast<int64_t>(caller->request.samples.size());
  const int64_t ahead = Ahead(priority);
  const bool student = priority == Priority::kStudent;
  const int64_t limit = student ? options_.max_queue : (options_.max_queue + 1) / 2;
  if (ahead > 0 && ahead + samples > limit) {
    refused_late_ = false;
    return BusyError(absl::StrCat("the teacher's queue is full (", ahead, " samples wait before ",
                                  student ? "a student's" : "a prefill's", ", the limit is ", limit,
                                  "): try again later"),
                     Backlog(ahead + samples - limit));
  }
  const absl::Duration first = Backlog(ahead) + per_batch_;
  if (caller->context.Check().ok() && first > left) {
    refused_late_ = true;
    return BusyError(absl::StrCat("the deadline would pass before the first image is served: ",
                                  ahead, " samples wait, ", absl::FormatDuration(per_batch_),
                                  " a batch of ", options_.max_batch),
                     Backlog(ahead));
  }
  const auto place = student ? std::next(items_.begin(), students_) : items_.end();
  for (int64_t i = 0; i < samples; ++i) {
    items_.insert(place, {caller, static_cast<size_t>(i), now});
  }
  if (student) students_ += samples;
  return absl::OkStatus();
}

std::vector<BatchQueue::Bucket> BatchQueue::Buckets() const {
  std::vector<Bucket> buckets;
  for (const Item& item : items_) {
    if (item.caller->stalled) continue;
    const auto bucket = std::find_if(buckets.begin(), buckets.end(), [&](const Bucket& known) {
      return SameBatch(*known.first, item);
    });
    if (bucket != buckets.end()) {
      ++bucket->count;
    } else {
      buckets.push_back({&item, 1});
    }
  }
  return buckets;
}

BatchQueue::Next BatchQueue::Take(absl::Duration now) {
  Next next;
  for (auto it = items_.begin(); it != items_.end();) {
    if (it->caller->context.Check().ok()) {
      ++it;
      continue;
    }
    students_ -= IsStudent(*it);
    next.expired.push_back(std::move(*it));
    it = items_.erase(it);
  }
  const std::vector<Bucket> buckets = Buckets();
  for (const Bucket& bucket : buckets) {
    if (IsStudent(*buckets.front().first) && !IsStudent(*bucket.first)) break;
    const absl::Duration due = bucket.first->queued + options_.max_delay;
    if (bucket.count >= options_.max_batch || now >= due) {
      next.batch = TakeBucket(Item(*bucket.first));
      return next;
    }
    next.due = std::min(next.due, due);
  }
  return next;
}

std::vector<BatchQueue::Item> BatchQueue::TakeBucket(const Item& first) {
  std::vector<Item> batch;
  for (auto it = items_.begin();
       it != items_.end() && static_cast<int>(batch.size()) < options_.max_batch;) {
    if (!SameBatch(first, *it) || it->caller->stalled) {
      ++it;
      continue;
    }
    students_ -= IsStudent(*it);
    batch.push_back(std::move(*it));
    it = items_.erase(it);
  }
  return batch;
}

void BatchQueue::Measured(absl::Duration batch) {
  per_batch_ = per_batch_ == absl::ZeroDuration()
                   ? batch
                   : per_batch_ * (1 - kSmoothing) + batch * kSmoothing;
}

std::vector<BatchQueue::Item> BatchQueue::TakeAll() {
  std::vector<Item> all(items_.begin(), items_.end());
  items_.clear();
  students_ = 0;
  return all;
}

}  // namespace reflux
