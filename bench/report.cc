#include "report.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace taffrail::bench {

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

std::vector<double> Row::ratios() const {
  std::vector<double> out;
  for (size_t i = 0; i < std::min(ours.size(), ceiling.size()); ++i)
    if (ceiling[i] > 0) out.push_back(ours[i] / ceiling[i]);
  return out;
}

void Measured::add(const Values& ours, const Values& ceiling) {
  const auto row = [&](const Value& v) -> Row& {
    for (Row& r : rows)
      if (r.figure == v.figure) return r;
    return rows.emplace_back(Row{v.figure, v.unit, {}, {}});
  };
  for (const Value& v : ours) row(v).ours.push_back(v.value);
  for (const Value& v : ceiling)
    // What only the ceiling has is no figure of ours.
    if (std::any_of(ours.begin(), ours.end(), [&](const Value& o) { return o.figure == v.figure; }))
      row(v).ceiling.push_back(v.value);
}

namespace {

std::string number(double v) {
  if (v == 0) return "0";
  if (v >= 1000) return fmt::format("{:.0f}", v);
  if (v >= 100) return fmt::format("{:.0f}", v);
  if (v >= 10) return fmt::format("{:.1f}", v);
  return fmt::format("{:.3g}", v);
}

const Target* target_of(const Measured& m, const Row& row) {
  for (const Target& t : m.targets)
    if (t.figure == row.figure) return &t;
  return nullptr;
}

std::string verdict(const Measured& m, const Row& row) {
  const Target* t = target_of(m, row);
  if (t == nullptr) return "";
  const double is = t->ratio ? median(row.ratios()) : median(row.ours);
  const char* unit = t->ratio ? "x" : "";
  return fmt::format("{}{} / {}{}  {}", number(t->reach), unit, number(t->goal), unit,
                     is <= t->goal ? "goal" : is <= t->reach ? "reached" : "SHORT");
}

}  // namespace

std::string heading(const Report& report) {
  std::string out = report.machine + "\n";
  for (const Value& v : report.probes) out += fmt::format("{} {} {}; ", v.figure, number(v.value), v.unit);
  return out + "\n";
}

std::string as_table(const Measured& m) {
  std::string out;
  out += fmt::format("\n{}: {}. {} runs; others used up to {:.1f} cores\n", m.workload, m.what,
                     m.rows.empty() ? 0 : m.rows[0].ours.size(), m.others);
  out += fmt::format("  {:<36}{:>10}{:>10}{:>8}  {:<16}{}\n", "", "Taffrail", "ceiling", "ratio", "min..max",
                     "reach / goal");
  for (const Row& r : m.rows) {
    const std::vector<double> ratios = r.ratios();
    std::string ratio, spread;
    const std::vector<double>& of = ratios.empty() ? r.ours : ratios;
    if (!ratios.empty()) ratio = number(median(ratios));
    if (of.size() > 1)
      spread = fmt::format("{}..{}", number(*std::min_element(of.begin(), of.end())),
                           number(*std::max_element(of.begin(), of.end())));
    out += fmt::format("  {:<36}{:>10}{:>10}{:>8}  {:<16}{}\n", fmt::format("{}, {}", r.figure, r.unit),
                       number(median(r.ours)), r.ceiling.empty() ? "" : number(median(r.ceiling)), ratio, spread,
                       verdict(m, r));
  }
  return out;
}

std::string as_json(const Report& report) {
  nlohmann::ordered_json all;
  all["machine"] = report.machine;
  for (const Value& v : report.probes) all["probes"][v.figure] = {{"unit", v.unit}, {"value", v.value}};
  all["workloads"] = nlohmann::ordered_json::array();
  for (const Measured& m : report.workloads) {
    nlohmann::ordered_json one{{"name", m.workload}, {"what", m.what}, {"others_cores_max", m.others}};
    for (const Row& r : m.rows) {
      nlohmann::ordered_json row{{"figure", r.figure}, {"unit", r.unit}, {"taffrail", r.ours}, {"ceiling", r.ceiling},
                                 {"taffrail_median", median(r.ours)}};
      if (const std::vector<double> ratios = r.ratios(); !ratios.empty()) {
        row["ceiling_median"] = median(r.ceiling);
        row["ratio_median"] = median(ratios);
        row["ratio_min"] = *std::min_element(ratios.begin(), ratios.end());
        row["ratio_max"] = *std::max_element(ratios.begin(), ratios.end());
      }
      if (const Target* t = target_of(m, r))
        row["held_against"] = {{"ratio", t->ratio}, {"reach", t->reach}, {"goal", t->goal}};
      one["figures"].push_back(std::move(row));
    }
    all["workloads"].push_back(std::move(one));
  }
  return all.dump(2) + "\n";
}

}  // namespace taffrail::bench
