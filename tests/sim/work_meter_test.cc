// Goal: what a fiber works is told apart from what it waits. Method: a machine on which each look at the clock, and so each
// piece of work that is measured, takes exactly so long.
#include "runtime/work_meter.h"

#include <gtest/gtest.h>

#include "runtime/sync.h"
#include "sim/world.h"

namespace taffrail::sim {
namespace {

TEST(WorkMeter, CountsTurnsAndNotWhatLiesBetweenThem) {
  Knobs knobs;
  knobs.cpu.slice = {3_us, 0_us};
  knobs.clock.drift_ppm_max = 0;
  World world(1, knobs);
  const NodeId node = world.add_node();
  world.start(node);
  Duration first, yielded, slept, others;
  Duration took;
  ASSERT_TRUE(world.run_fiber(node, [&](Task& task, Runtime& runtime) {
    Scope scope;
    Event done;
    {
      WorkMeter meter(runtime, task);
      first = meter.worked();
      runtime.scheduler().yield(task);
      yielded = meter.worked();
      const Instant began = runtime.now();
      (void)runtime.sleep_for(task, 1_s);
      slept = meter.worked();
      took = runtime.now() - began;
      runtime.spawn(scope, "other", [&](Task& inner) {
        for (int i = 0; i < 10; ++i) runtime.scheduler().yield(inner);
        done.set();
      });
      (void)done.wait(task);
      others = meter.worked();
    }
    (void)runtime.sleep_for(task, 1_s);  // Nobody counts any more.
    scope.join(task);
  }));
  EXPECT_EQ(first, 3_us);
  // Each time the end of one turn, and the beginning of another until it is asked.
  EXPECT_EQ(yielded, 9_us);
  EXPECT_EQ(slept, 15_us);
  EXPECT_EQ(others, 21_us);
  EXPECT_GE(took, 1_s);
}

}  // namespace
}  // namespace taffrail::sim
