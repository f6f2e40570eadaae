"""What GitOps tools make of our objects, held against the contract: rules, scripts, expressions, pages."""
