// The Python client of docs/python.md, word for word, against a real cache server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "cache/cache_server.h"
#include "common/base/file.h"
#include "common/rpc/server.h"
#include "common/targets/target_service.h"
#include "tests/contract/cache_fixtures.h"

namespace reflux {
namespace {

constexpr int kNotInstalled = 77;  // as tests/grpcio.sh says it

std::string Source(const std::string& path) {
  return absl::StrCat(std::getenv("REFLUX_SOURCE"), "/", path);
}

// The code block of docs/python.md that defines the client.
std::string ClientText() {
  const std::string page = ReadFile(Source("docs/python.md"), 1 << 20).value();
  const std::string fence = "```python\n";
  const size_t begin = page.find(fence + "import hashlib") + fence.size();
  return page.substr(begin, page.find("```", begin) - begin);
}

// The exit code of `python3 ARGUMENTS` with grpcio at hand, run in `folder`.
int Python(const std::string& folder, const std::string& arguments) {
  const int status =
      std::system(absl::StrCat("cd ", folder, " && PYTHONPATH=", folder, " ",
                               Source("tests/grpcio.sh"), " ", arguments, " > out.txt 2>&1")
                      .c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(PythonClientTest, ReadsATargetIntoNumpy) {
  const TemporaryFolder folder;
  const auto output = [&] { return ReadFile(folder.path() + "/out.txt", 1 << 20).value(); };
  const int compiled = Python(
      folder.path(), absl::StrCat("-m grpc_tools.protoc -I ", Source("proto"),
                                  " --python_out=. --grpc_python_out=. reflux/v1/targets.proto"));
  if (compiled == kNotInstalled) GTEST_SKIP() << output();
  ASSERT_EQ(compiled, 0) << output();

  FakeTeacher teacher(/*elements=*/600000);  // 2.4 MB: several chunks
  const auto service = MakeTargetService(teacher, {}, {});
  const auto teacher_server =
      *RpcServer::Start({.max_receive_bytes = kTargetServiceMaxReceiveBytes}, {service.get()});
  const auto cache = *CacheServer::Start(
      {.store = {.directory = folder.path() + "/cache", .min_free_disk_bytes = 0},
       .teacher = teacher_server->address()},
      nullptr);
  ASSERT_TRUE(WriteFileAtomically(folder.path() + "/client.py", ClientText()).ok());
  ASSERT_TRUE(WriteFileAtomically(folder.path() + "/a.png", "the bytes of an image").ok());
  ASSERT_EQ(
      Python(folder.path(), absl::StrCat("client.py ", cache->address(), " a.png 24 32 a.npy")), 0)
      << output();

  TargetRequest request = FakeRequest(1);
  request.samples[0].digest = Sha256::Of("the bytes of an image");
  request.samples[0].view = {
      .resized_height = 24, .resized_width = 32, .crop_height = 24, .crop_width = 32};
  const std::string array = ReadFile(folder.path() + "/a.npy", 1 << 24).value();
  EXPECT_THAT(array, testing::HasSubstr("'descr': '<f4', 'fortran_order': False, "
                                        "'shape': (1, 1, 600000)"));
  EXPECT_EQ(array.substr(array.find('\n') + 1), teacher.Expected(request, 0).bytes);
  EXPECT_EQ(cache->store().stats().entries, 1);
}

}  // namespace
}  // namespace reflux
