#include "tests/integration/metrics/metrics_page.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace reflux {
namespace {

std::string Line(absl::string_view name, absl::string_view type,
                 const std::set<std::string>& labels) {
  return absl::StrCat(name, " ", type, " ", absl::StrJoin(labels, ","));
}

// Names before "=" in {a="1",b="2"}.
std::set<std::string> LabelNames(const std::string& line) {
  static const auto& pattern = *new std::regex("[{,]([a-z_]+)=\"");
  std::set<std::string> names;
  for (std::sregex_iterator it(line.begin(), line.end(), pattern), end; it != end; ++it) {
    names.insert((*it)[1]);
  }
  return names;
}

// A histogram's samples carry a suffix.
std::string FamilyOf(absl::string_view sample, const std::map<std::string, std::string>& types) {
  for (const char* suffix : {"_bucket", "_sum", "_count"}) {
    absl::string_view name = sample;
    if (!absl::ConsumeSuffix(&name, suffix)) continue;
    const auto it = types.find(std::string(name));
    if (it != types.end() && it->second == "histogram") return it->first;
  }
  return std::string(sample);
}

}  // namespace

MetricLines ParsePage(absl::string_view page, const std::set<std::string>& common) {
  std::map<std::string, std::string> types;
  std::map<std::string, std::set<std::string>> labels;
  for (const absl::string_view line : absl::StrSplit(page, '\n')) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    if (words.size() == 4 && words[1] == "TYPE") types[words[2]] = words[3];
    if (!absl::StartsWith(line, "reflux_")) continue;
    std::set<std::string>& names =
        labels[FamilyOf(line.substr(0, line.find_first_of("{ ")), types)];
    names.merge(LabelNames(std::string(line)));
  }
  MetricLines metrics;
  for (auto& [family, names] : labels) {
    names.erase("le");
    for (const std::string& name : common) names.erase(name);
    metrics.insert(Line(family, types[family], names));
  }
  return metrics;
}

absl::StatusOr<double> ReadSample(absl::string_view page, absl::string_view name) {
  for (const absl::string_view line : absl::StrSplit(page, '\n')) {
    double value = 0;
    if (line.substr(0, line.find_first_of("{ ")) == name &&
        absl::SimpleAtod(line.substr(line.rfind(' ') + 1), &value)) {
      return value;
    }
  }
  return absl::NotFoundError(absl::StrCat("no ", name));
}

absl::StatusOr<std::string> Scrape(const std::string& address) {
  const std::vector<std::string> parts = absl::StrSplit(address, ':');
  sockaddr_in to{};
  to.sin_family = AF_INET;
  int port = 0;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[1], &port) ||
      inet_pton(AF_INET, parts[0].c_str(), &to.sin_addr) != 1) {
    return absl::InvalidArgumentError("not an IPv4 host:port: " + address);
  }
  to.sin_port = htons(port);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto closer = absl::MakeCleanup([fd] { close(fd); });
  if (connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0) {
    return absl::UnavailableError("cannot connect to " + address);
  }
  const std::string ask = "GET /metrics HTTP/1.0\r\nHost: test\r\nConnection: close\r\n\r\n";
  if (send(fd, ask.data(), ask.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(ask.size())) {
    return absl::UnavailableError("cannot send to " + address);
  }
  std::string answer;
  char buffer[4096];
  for (ssize_t got = 0; (got = recv(fd, buffer, sizeof(buffer), 0)) > 0;) {
    answer.append(buffer, got);
  }
  const size_t body = answer.find("\r\n\r\n");
  if (!absl::StrContains(answer.substr(0, answer.find("\r\n")), " 200 ") ||
      body == std::string::npos) {
    return absl::InternalError("not an answer of HTTP: " + answer.substr(0, 200));
  }
  return answer.substr(body + 4);
}

absl::StatusOr<MetricLines> ReadDocumented(absl::string_view program) {
  const char* root = std::getenv("REFLUX_SOURCE");
  if (root == nullptr) return absl::FailedPreconditionError("REFLUX_SOURCE is not set");
  std::ifstream file(absl::StrCat(root, "/docs/metrics.md"));
  MetricLines rows;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (absl::StartsWith(line, "## ")) inside = line == absl::StrCat("## ", program);
    if (!inside || !absl::StartsWith(line, "| `reflux_")) continue;
    std::vector<std::string> cells = absl::StrSplit(line, '|');
    for (std::string& cell : cells) absl::StripAsciiWhitespace(&cell);
    if (cells.size() != 7) return absl::InternalError("a row needs five cells: " + line);
    std::set<std::string> labels;
    for (const absl::string_view label : absl::StrSplit(cells[3], ", ")) {
      if (label != "-") labels.insert(std::string(label.substr(1, label.size() - 2)));
    }
    rows.insert(Line(cells[1].substr(1, cells[1].size() - 2), cells[2], labels));
  }
  if (rows.empty()) return absl::NotFoundError(absl::StrCat("no rows under ## ", program));
  return rows;
}

}  // namespace reflux
