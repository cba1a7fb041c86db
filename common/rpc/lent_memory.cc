#include "common/rpc/lent_memory.h"

#include <utility>

namespace reflux {

struct LentMemory::Loan {
  LentMemory& lender;
  std::shared_ptr<const void> owner;
};

LentMemory::~LentMemory() {
  MutexLock lock(mutex_);
  while (loans_ > 0) changed_.Wait(mutex_);
}

grpc::Slice LentMemory::Lend(absl::string_view bytes, std::shared_ptr<const void> owner) {
  {
    MutexLock lock(mutex_);
    ++loans_;
  }
  return {const_cast<char*>(bytes.data()), bytes.size(), &LentMemory::GiveBack,
          new Loan{*this, std::move(owner)}};
}

void LentMemory::GiveBack(void* loan) {
  std::unique_ptr<Loan> ended(static_cast<Loan*>(loan));
  LentMemory& lender = ended->lender;
  ended.reset();  // before the lender hears of it, who may then take away what the owner stands on
  MutexLock lock(lender.mutex_);
  if (--lender.loans_ == 0) lender.changed_.NotifyAll();
}

}  // namespace reflux
