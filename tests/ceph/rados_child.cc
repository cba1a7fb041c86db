// A process that fills a store on Ceph until it is killed, for the tests of sudden death.
//
//   reflux-rados-child CONF NAME   puts targets for ever, writing the number (int32) of each once
//                                  it is stored
#include <unistd.h>

#include "cache/rados/rados_store.h"
#include "tests/contract/cache_fixtures.h"
#include "tests/contract/store_child.h"

int main(int argc, char** argv) {
  using namespace reflux;
  if (argc < 3) return 2;  // StoreChild adds an empty argument
  const auto store = OpenRadosStore({.pool = "reflux", .name = argv[2], .configuration = argv[1]});
  if (!store.ok()) return 1;
  for (int32_t i = 0;; ++i) {
    const TargetRequest request = FakeRequest(1, 1, i);
    const EncodedTarget target = FakeTarget(i, kStoreChildElements);
    if (!(*store)->Put(KeyOf(request, 0), SetOf(request), OriginOf(request, 0), target).ok())
      return 3;
    if (write(STDOUT_FILENO, &i, sizeof(i)) != sizeof(i)) return 4;
  }
}
