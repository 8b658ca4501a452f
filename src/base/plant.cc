#include "base/plant.h"

#ifdef TAFFRAIL_PLANTS

#include <string>

namespace taffrail {

namespace {
std::string& planted() {
  // The one mutable static of the tree: it exists in test builds only, and is set before a run starts.
  static std::string id;
  return id;
}
}  // namespace

void select_plant(std::string_view id) { planted() = id; }
std::string_view selected_plant() { return planted(); }
bool is_planted(const char* marked) { return planted() == marked + kPlantMark.size(); }

}  // namespace taffrail

#endif
