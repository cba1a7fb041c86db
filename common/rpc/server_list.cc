#include "common/rpc/server_list.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> Items(const std::string& servers) {
  std::vector<std::string> items = absl::StrSplit(servers, ',');
  for (std::string& item : items) absl::StripAsciiWhitespace(&item);
  return items;
}

bool IsFolder(const std::string& item) {
  std::error_code error;
  return item.size() > 1 && item[0] == '@' &&
         (item.back() == '/' || fs::is_directory(item.substr(1), error));
}

void SortByName(std::vector<ListedServer>& servers) {
  std::sort(servers.begin(), servers.end(),
            [](const ListedServer& a, const ListedServer& b) { return a.name < b.name; });
}

// A file that is being published has another name until it is complete (WriteFileAtomically).
bool IsPublished(const std::string& name) {
  return name[0] != '.' && !absl::StrContains(name, ".tmp.");
}

// By name. Nothing when the folder is not there (yet).
std::vector<ListedServer> InFolder(const std::string& folder) {
  std::vector<ListedServer> servers;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename();
    std::error_code gone;
    if (IsPublished(name) && it->is_regular_file(gone)) {
      servers.push_back({.name = name, .endpoint = absl::StrCat("@", it->path().string())});
    }
  }
  SortByName(servers);
  return servers;
}

// In the order of the text.
absl::StatusOr<std::vector<ListedServer>> Listed(const std::string& servers) {
  std::vector<ListedServer> listed;
  for (const std::string& item : Items(servers)) {
    if (item.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", servers, "': an item between the commas is empty"));
    }
    if (!IsFolder(item)) {
      listed.push_back({.name = item, .endpoint = item});
      continue;
    }
    for (ListedServer& server : InFolder(item.substr(1))) listed.push_back(std::move(server));
  }
  return listed;
}

}  // namespace

absl::StatusOr<std::vector<ListedServer>> ListServers(const std::string& servers) {
  REFLUX_ASSIGN_OR_RETURN(std::vector<ListedServer> listed, Listed(servers));
  SortByName(listed);
  const auto twice = std::adjacent_find(
      listed.begin(), listed.end(),
      [](const ListedServer& a, const ListedServer& b) { return a.name == b.name; });
  if (twice != listed.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", servers, "' names ", twice->name, " twice"));
  }
  return listed;
}

absl::StatusOr<std::vector<std::string>> ListEndpoints(const std::string& servers) {
  REFLUX_ASSIGN_OR_RETURN(const std::vector<ListedServer> listed, Listed(servers));
  std::vector<std::string> endpoints;
  for (const ListedServer& server : listed) endpoints.push_back(server.endpoint);
  return endpoints;
}

bool IsSingleServer(const std::string& servers) {
  const std::vector<std::string> items = Items(servers);
  return items.size() == 1 && !IsFolder(items[0]);
}

}  // namespace reflux
