#include "common/base/cancellation.h"

#include <semaphore>
#include <utility>
#include <vector>

#include "absl/time/clock.h"

namespace reflux {

void Cancellation::Cancel() {
  std::map<int64_t, std::function<void()>> callbacks;
  {
    MutexLock lock(mutex_);
    if (cancelled_) return;
    cancelled_ = running_ = true;
    callbacks.swap(callbacks_);
  }
  for (auto& [id, callback] : callbacks) callback();
  MutexLock lock(mutex_);
  running_ = false;
  idle_.NotifyAll();
}

bool Cancellation::cancelled() const {
  MutexLock lock(mutex_);
  return cancelled_;
}

Cancellation::Registration Cancellation::OnCancel(std::function<void()> callback) {
  int64_t id = 0;
  {
    MutexLock lock(mutex_);
    if (!cancelled_) {
      id = ++next_id_;
      callbacks_[id] = std::move(callback);
    }
  }
  if (id == 0) {
    callback();
    return nullptr;
  }
  return Registration(this, [id](void* self) { static_cast<Cancellation*>(self)->Unregister(id); });
}

void Cancellation::Unregister(int64_t id) {
  MutexLock lock(mutex_);
  callbacks_.erase(id);
  while (running_) idle_.Wait(mutex_);
}

void SleepUntil(absl::Time until, Cancellation* cancellation) {
  Mutex mutex;
  CondVar woken;
  bool cancelled = false;
  Cancellation::Registration registration;
  if (cancellation != nullptr) {
    registration = cancellation->OnCancel([&] {
      MutexLock lock(mutex);
      cancelled = true;
      woken.NotifyAll();
    });
  }
  MutexLock lock(mutex);
  while (!cancelled && absl::Now() < until) woken.WaitUntil(mutex, until);
}

void AwaitCancelled(std::initializer_list<Cancellation*> any) {
  std::counting_semaphore<> cancelled(0);
  std::vector<Cancellation::Registration> registrations;
  for (Cancellation* one : any) {
    if (one == nullptr) continue;
    registrations.push_back(one->OnCancel([&cancelled] { cancelled.release(); }));
  }
  cancelled.acquire();
}

}  // namespace reflux
