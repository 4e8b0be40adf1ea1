drop index saga_instances_customer;
