// Several servers of one role, as one text: a list whose items are endpoints (endpoints.h) or
// folders of endpoint files.
//
//   host:port,host:port     two servers
//   @FILE,@FILE             two servers, found where they listen now
//   @DIR                    every server that has an endpoint file in DIR: a server joins by
//                           publishing its file there, and leaves when the file is removed
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace reflux {

struct ListedServer {
  // What the server is called by all who share the list: the item's text, or the file's name in its
  // folder (so that hosts may have the folder at different places).
  std::string name;
  std::string endpoint;  // "host:port" or "@FILE"
  bool operator==(const ListedServer&) const = default;
};

// As of now, by name. Empty when the folders hold nothing (yet). InvalidArgument for an empty item
// or a name that comes twice.
absl::StatusOr<std::vector<ListedServer>> ListServers(const std::string& servers);

// The same as endpoints in the order of the text, a folder's by name, for those to whom names mean
// nothing: equal names are allowed. InvalidArgument for an empty item.
absl::StatusOr<std::vector<std::string>> ListEndpoints(const std::string& servers);

// Whether the text can only ever mean one server.
bool IsSingleServer(const std::string& servers);

}  // namespace reflux
