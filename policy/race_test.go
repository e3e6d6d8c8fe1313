//go:build race

package policy_test

// poolLoss is what a question may allocate more: under the race detector,
// sync.Pool throws away what it is given at random.
const poolLoss = 2
