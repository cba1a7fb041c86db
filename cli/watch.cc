#include "cli/watch.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "cli/connection.h"
#include "cli/job_text.h"
#include "common/base/exit_codes.h"
#include "common/base/progress_bar.h"
#include "reflux/v1/jobs.grpc.pb.h"

namespace reflux {
namespace {

class Watcher {
 public:
  Watcher(Terminal& terminal, const WatchOptions& options)
      : terminal_(terminal), options_(options) {}

  void Show(const v1::Job& job) {
    if (terminal_.json) {
      terminal_.out << MessageJson(job, false) << std::flush;
    } else {
      ShowState(job);
      if (!IsFinalState(job.state())) ShowProgress(job);
    }
    last_ = job;
    seen_ = true;
  }

  // Says a line beside the bar.
  void Say(const std::string& line) {
    EndBar();
    terminal_.err << line << std::endl;
  }
  void EndBar() {
    if (bar_ != nullptr) bar_->Finish();
    bar_.reset();
  }

  bool ended() const { return seen_ && IsFinalState(last_.state()); }
  const v1::Job& last() const { return last_; }

 private:
  void ShowState(const v1::Job& job) {
    if (seen_ && job.state() == last_.state() && job.message() == last_.message() &&
        job.generation() == last_.generation()) {
      return;
    }
    EndBar();
    terminal_.out << job.job_id() << " " << job.spec().name() << ": " << StateName(job.state());
    if (!job.message().empty()) terminal_.out << ", " << job.message();
    if (IsFinalState(job.state())) {
      const std::string note = ProgressNote(job);
      terminal_.out << " after " << ClockText(absl::Seconds(RunSeconds(job, absl::Now())))
                    << (note.empty() ? "" : ", ") << note;
    }
    terminal_.out << std::endl;
  }

  void ShowProgress(const v1::Job& job) {
    const v1::Progress& progress = job.progress();
    const bool new_phase = progress.phase() != phase_;
    phase_ = progress.phase();
    if (new_phase) EndBar();
    if (progress.total_steps() == 0) {
      if (new_phase) terminal_.out << phase_ << std::endl;
      return;
    }
    // A bar a phase: the time of another one would spoil the rate.
    if (bar_ == nullptr) {
      ProgressBarOptions options;
      options.terminal = terminal_.interactive;
      options.line_interval = options_.line_interval;
      bar_ = std::make_unique<ProgressBar>(terminal_.out, options);
      // Steps done before we looked say nothing about the rate.
      bar_->StartAt(progress.step());
    }
    bar_->SetTotal(progress.total_steps());
    bar_->SetLabel(phase_);
    bar_->Update(progress.step(), ProgressNote(job));
  }

  Terminal& terminal_;
  const WatchOptions options_;
  std::unique_ptr<ProgressBar> bar_;
  std::string phase_;
  v1::Job last_;
  bool seen_ = false;
};

// One stream, until it ends. The orchestrator is resolved anew each time: it may have moved.
absl::Status WatchOnce(Terminal& terminal, const std::string& endpoint, const std::string& job_id,
                       Watcher& watcher) {
  REFLUX_ASSIGN_OR_RETURN(std::shared_ptr<grpc::Channel> channel, Connect(endpoint));
  const auto stub = v1::JobService::NewStub(channel);
  grpc::ClientContext context;
  const auto registration = terminal.interrupted->OnCancel([&context] { context.TryCancel(); });
  v1::GetJobRequest request;
  request.set_job_id(job_id);
  const auto reader = stub->WatchJob(&context, request);
  for (v1::Job job; reader->Read(&job);) watcher.Show(job);
  return WithEndpoint(FromGrpc(reader->Finish()), endpoint);
}

int Interrupted(Watcher& watcher, const std::string& job_id) {
  watcher.Say(absl::StrCat("job ", job_id, " goes on; look again with: reflux watch ", job_id,
                           "\nstop it with: reflux cancel ", job_id));
  return kExitStopped;
}

int Ended(Terminal& terminal, Watcher& watcher, const std::string& job_id) {
  watcher.EndBar();
  if (watcher.last().state() == v1::JOB_STATE_SUCCEEDED) return kExitDone;
  terminal.err << "see: reflux logs " << job_id << "; reflux describe " << job_id << std::endl;
  return kExitFailed;
}

}  // namespace

int Watch(Terminal& terminal, const std::string& endpoint, const std::string& job_id,
          const WatchOptions& options) {
  Watcher watcher(terminal, options);
  absl::Status status;
  for (int attempt = 0; attempt <= options.retries; ++attempt) {
    status = WatchOnce(terminal, endpoint, job_id, watcher);
    if (watcher.ended()) return Ended(terminal, watcher, job_id);
    if (terminal.interrupted->cancelled()) return Interrupted(watcher, job_id);
    // Never reached: a mistake, not an absence. A stream that ends early is an orchestrator that
    // stops.
    if (watcher.last().job_id().empty() ||
        !(status.ok() || absl::IsUnavailable(status) || absl::IsCancelled(status))) {
      break;
    }
    if (attempt == 0) watcher.Say("the orchestrator is away, trying again");
    if (!WaitUnlessInterrupted(terminal, options.retry_pause)) return Interrupted(watcher, job_id);
  }
  watcher.EndBar();
  return Fail(terminal, status.ok() ? absl::UnavailableError("the orchestrator is away") : status);
}

}  // namespace reflux
