//go:build !race

package policy_test

// poolLoss is what a question may allocate more than its budget.
const poolLoss = 0
