// A process that has a store open, for the tests of locks and of sudden death.
//
//   reflux-store-child hold DIR   opens the store, writes one byte, waits for the end of its input
//   reflux-store-child put DIR    puts targets for ever, writing the number (int32) of each once it
//                                 is stored
//   reflux-store-child churn DIR N  what tests/contract/store_churn.h says, from generation N
#include "tests/contract/store_child.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string>

#include "cache/rocks_target_store.h"
#include "tests/contract/cache_fixtures.h"
#include "tests/contract/store_churn.h"

int main(int argc, char** argv) {
  using namespace reflux;
  if (argc != 4) return 2;
  spdlog::set_default_logger(spdlog::stderr_color_mt("child"));  // the output is the numbers
  if (std::string(argv[1]) == "churn") {
    const absl::Status status = Churn(argv[2], std::atoi(argv[3]), STDOUT_FILENO);
    std::cerr << status << std::endl;
    return absl::IsUnavailable(status) ? 0 : 1;
  }
  const auto store = RocksTargetStore::Open({.directory = argv[2], .min_free_disk_bytes = 0});
  if (!store.ok()) return 1;
  if (std::string(argv[1]) == "hold") {
    char byte = 0;
    return write(STDOUT_FILENO, &byte, 1) == 1 && read(STDIN_FILENO, &byte, 1) == 0 ? 0 : 1;
  }
  for (int32_t i = 0;; ++i) {
    const TargetRequest request = FakeRequest(1, 1, i);
    const EncodedTarget target = FakeTarget(i, kStoreChildElements);
    if (!(*store)->Put(KeyOf(request, 0), SetOf(request), OriginOf(request, 0), target).ok())
      return 3;
    if (write(STDOUT_FILENO, &i, sizeof(i)) != sizeof(i)) return 4;
  }
}
